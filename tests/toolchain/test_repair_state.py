"""The repair of the state after a killed run, with stacks on Docker and on a cluster in it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from toolchain import files, repair
from toolchain.layout import Layout


def test_an_interrupted_stack_is_told_by_its_state(tmp_path: Path) -> None:
    folder = tmp_path / ".pulumi" / "stacks" / "strata"
    folder.mkdir(parents=True)
    (folder / "new.json").write_text('{"version": 3, "checkpoint": {"latest": null}}')
    recorded = {
        "resources": [{"urn": "a"}, {"urn": "b", "id": "1"}],
        "pending_operations": [pending("docker:index/network:Network")],
    }
    on_a_cluster = {"pending_operations": [pending("kubernetes:core/v1:Service")]}
    for name, deployment in (("killed", recorded), ("other", on_a_cluster)):
        (folder / f"{name}.json").write_text(json.dumps({"checkpoint": {"latest": deployment}}))
    killed, new, other = repair.stacks(tmp_path)
    assert (killed.name, killed.interrupted, killed.ids) == ("killed", True, {"1"})
    assert (new.name, new.interrupted, new.ids) == ("new", False, set())
    assert (other.name, other.interrupted) == ("other", False)


def pending(kind: str) -> dict[str, Any]:
    return {"type": "creating", "resource": {"type": kind}}


def test_only_the_named_stack_is_repaired_and_only_what_is_on_docker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a CLI that exports and imports a state of both platforms."""
    layout = Layout(tmp_path)
    files.write(layout.seed, "a seed", 0o600)
    folder = layout.state / ".pulumi" / "stacks" / "strata"
    folder.mkdir(parents=True)
    deployment = {"pending_operations": [pending("docker:a:B"), pending("kubernetes:a:B")]}
    for name in ("mine", "other"):
        (folder / f"{name}.json").write_text(json.dumps({"checkpoint": {"latest": deployment}}))
    asked: list[list[str]] = []
    imported: list[str] = []

    def run(
        command: list[str], _layout: Layout, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        asked.append(command[1:])
        if text:
            imported.append(text)
        return subprocess.CompletedProcess(command, 0, json.dumps({"deployment": deployment}), "")

    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    monkeypatch.delenv("STRATA_SEED_FILE", raising=False)
    monkeypatch.setattr(repair, "_run", run)
    monkeypatch.setattr(repair, "remove_leftovers", lambda stack, *_, **__: {"mine": 3}[stack])
    assert repair.repair(layout, "nobody") is None
    assert not asked
    assert repair.repair(layout, "mine") == 3
    assert [command[:3] for command in asked] == [["stack", "--stack", "mine"]] * 2
    (text,) = imported
    assert json.loads(text)["deployment"] == {"pending_operations": [pending("kubernetes:a:B")]}
