"""The server between the engine and the rules, called with the engine's messages."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from strata.policies.crossguard.rule import COULD_NOT_BE_JUDGED
from strata.policies.crossguard.server import Analyzer, from_struct, set_at
from strata.policies.crossguard.values import (
    SIGNATURE_KEY,
    UNKNOWN_TEXT,
    is_secret,
    is_unknown,
)
from tests.policies.policy_suites import SUITES
from tests.policies.policy_testing import (
    Suite,
    changed,
    findings,
    from_wire,
    outcome,
    secret,
    violations,
)
from tests.policies.wire import configured, message, request

ROOT = Path(__file__).resolve().parents[2]
PACKS = [suite.pack for suite in SUITES]


def diagnostics_of(analyzer: Analyzer, fixture: Any) -> list[Any]:
    stack = analyzer_pb2.AnalyzeStackRequest(resources=[message(name, fixture) for name in fixture])
    diagnostics = list(analyzer.AnalyzeStack(stack, None).diagnostics)
    for name in fixture:
        diagnostics += analyzer.Analyze(request(name, fixture), None).diagnostics
    return diagnostics


def named(diagnostics: list[Any]) -> set[tuple[str, str]]:
    return {(one.policyName, one.urn.rpartition("::")[2]) for one in diagnostics}


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.pack.name)
def test_the_server_says_what_the_rules_say(suite: Suite) -> None:
    for case in suite.cases:
        fixture = changed(suite.fixture, case.change)
        analyzer = Analyzer(suite.pack)
        for slug, settings in case.settings.items():
            analyzer._settings[slug].update(settings)
        broken = {
            (one.partition("/")[0], one.rpartition("@")[2])
            for one in outcome(suite.pack.rules, suite.fixture, case)[0]
        }
        unjudged = {(COULD_NOT_BE_JUDGED, one.rpartition("@")[2]) for one in case.unjudged}
        assert named(diagnostics_of(analyzer, fixture)) == broken | unjudged


def test_wire_values_decode_alike_from_text_and_from_messages() -> None:
    wire: Any = {
        "a": UNKNOWN_TEXT,
        "b": [1, True, None, "x", UNKNOWN_TEXT, secret("s")],
        "c": {"d": secret({"e": UNKNOWN_TEXT}), "f": {SIGNATURE_KEY: "asset", "text": "t"}},
        "g": secret([1]),
    }
    struct = struct_pb2.Struct()
    struct.update(wire)
    for decoded in (from_struct(struct), from_wire(wire)):
        assert is_unknown(decoded["a"])
        assert [is_unknown(one) for one in decoded["b"]] == [False] * 4 + [True, False]
        assert decoded["b"][:4] == [1, True, None, "x"]
        assert is_secret(decoded["b"][5])
        assert is_secret(decoded["g"])
        assert is_secret(decoded["c"]["d"])
        assert is_unknown(decoded["c"]["d"]["e"])
        assert decoded["c"]["f"] == {"asset": True}


def breaking(suite: Suite) -> tuple[Any, str]:
    """A change that breaks one clause of one rule of the pack."""
    case = next(one for one in suite.cases if len(one.finds) == 1 and not one.settings)
    return changed(suite.fixture, case.change), next(iter(case.finds)).partition("/")[0]


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.pack.name)
def test_levels_come_from_the_configuration(suite: Suite) -> None:
    fixture, slug = breaking(suite)
    for level, shown in (
        (analyzer_pb2.ADVISORY, analyzer_pb2.ADVISORY),
        (analyzer_pb2.MANDATORY, analyzer_pb2.MANDATORY),
        (analyzer_pb2.REMEDIATE, analyzer_pb2.MANDATORY),
    ):
        diagnostics = diagnostics_of(configured(Analyzer(suite.pack), **{slug: level}), fixture)
        assert [one.enforcementLevel for one in diagnostics] == [shown]
    off = configured(Analyzer(suite.pack), **{slug: analyzer_pb2.DISABLED})
    assert diagnostics_of(off, fixture) == []


def test_what_cannot_be_judged_is_shown_and_can_be_made_to_fail() -> None:
    suite = SUITES[0]
    fixture = changed(suite.fixture, {"web:privileged": UNKNOWN_TEXT})
    (one,) = diagnostics_of(Analyzer(suite.pack), fixture)
    assert one.policyName == COULD_NOT_BE_JUDGED
    assert one.message == ("no-privileged could not be judged on web: privileged is not known yet")
    assert one.enforcementLevel == analyzer_pb2.ADVISORY
    strict = {"could_not_be_judged": analyzer_pb2.MANDATORY}
    (one,) = diagnostics_of(configured(Analyzer(suite.pack), **strict), fixture)
    assert one.enforcementLevel == analyzer_pb2.MANDATORY
    mild = {**strict, "no_privileged": analyzer_pb2.ADVISORY}
    (one,) = diagnostics_of(configured(Analyzer(suite.pack), **mild), fixture)
    assert one.enforcementLevel == analyzer_pb2.ADVISORY
    hidden = {"could_not_be_judged": analyzer_pb2.DISABLED}
    assert diagnostics_of(configured(Analyzer(suite.pack), **hidden), fixture) == []


def test_a_rule_that_fails_stops_the_run_without_showing_the_value(monkeypatch: Any) -> None:
    suite = SUITES[0]
    rule = next(one for one in suite.pack.rules if one.slug == "no-privileged")

    def broken(_resource: Any, _judge: Any) -> None:
        raise ValueError("hunter2")

    monkeypatch.setattr(rule.check, "__code__", broken.__code__)
    found = findings([rule], suite.fixture)
    assert "no-privileged/error@web" in violations(found)
    assert all("hunter2" not in one.message for one in found)


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.name)
def test_a_pack_starts_alone_and_fast(pack: Any) -> None:
    """As the language host starts it: by path, with only the Pulumi SDK."""
    began = time.monotonic()
    process = subprocess.Popen(
        [
            sys.executable,
            "-u",
            "-m",
            "pulumi.policy",
            "127.0.0.1:1",
            str(ROOT / "policies" / pack.name),
        ],
        stdout=subprocess.PIPE,
        cwd="/",
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = analyzer_pb2_grpc.AnalyzerStub(channel)
            information = stub.GetAnalyzerInfo(empty_pb2.Empty(), timeout=5)
            seconds = time.monotonic() - began
            stub.Cancel(empty_pb2.Empty(), timeout=5)
        assert information.name == pack.name
        slugs = [rule.slug for rule in pack.rules]
        assert [one.name for one in information.policies] == [*slugs, COULD_NOT_BE_JUDGED]
        assert process.wait(timeout=5) == 0
        # The goal is 0.7 s on an idle machine; importing an SDK takes seconds.
        assert seconds < 2.5
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.name)
def test_a_pack_imports_no_provider(pack: Any) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import strata.policies.crossguard.server;"
        f"import strata.policies.rules.{pack.platform};"
        "print([m for m in sys.modules if m.startswith('pulumi_')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(ROOT)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_property_is_set_in_place_within_a_secret() -> None:
    struct: Any = struct_pb2.Struct()
    struct.update({"a": secret({"b": 1, "c": UNKNOWN_TEXT})})
    set_at(struct, ("a", "b"), 2)
    set_at(struct, ("d", "e"), True)
    assert struct["a"]["value"]["b"] == 2
    assert struct["a"]["value"]["c"] == UNKNOWN_TEXT
    assert struct["a"][SIGNATURE_KEY] == secret(0)[SIGNATURE_KEY]
    assert struct["d"]["e"] is True
