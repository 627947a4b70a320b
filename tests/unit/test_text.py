"""What the parts of a text become for one replica."""

import pytest

from strata.model import (
    ByDevice,
    Cores,
    HostName,
    Listen,
    MemoryMib,
    NameServer,
    Ordinal,
    Peers,
    RenderContext,
    ReplicaHost,
    Secret,
    Text,
    is_secret,
    render,
)
from strata.model.secrets import DerivedSecrets
from strata.model.text import names_replica, needs_stateful

SECRETS = DerivedSecrets(b"a seed that only tests use......", "test", {})


def context(*, has_gpu: bool = False) -> RenderContext:
    return RenderContext(
        addresses=lambda port: {"http": ("127.0.0.1", "10.1.2.3")}[port],
        secrets=SECRETS,
        name_server="192.0.2.53",
        stack="test",
        memory_mib=511,
        cpu=1.25,
        has_gpu=has_gpu,
        ordinal="1",
        hosts=("a-0", "a-1"),
        host="a-1",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("as it is", "as it is"),
        (Listen("http"), "127.0.0.1,10.1.2.3"),
        (("bind ", Listen("http", separator=" ")), "bind 127.0.0.1 10.1.2.3"),
        (Listen("http", template="{index}={address};", separator=""), "1=127.0.0.1;2=10.1.2.3;"),
        (HostName("api"), "api"),
        (("resolver ", NameServer(), ";"), "resolver 192.0.2.53;"),
        (MemoryMib(0.5), "255"),
        (MemoryMib(0.01, at_least=32), "32"),
        (Cores(), "2"),
        (ByDevice(gpu="cuda", cpu="cpu"), "cpu"),
        (("node-", Ordinal()), "node-1"),
        (ReplicaHost(), "a-1"),
        (Peers(), "a-0,a-1"),
        (Peers(template="{ordinal}={host}:7000", separator=" "), "0=a-0:7000 1=a-1:7000"),
        (("x", Secret("a")), f"x{SECRETS.encode(Secret('a'))}"),
    ],
)
def test_a_text_is_filled_in(text: Text, expected: str) -> None:
    assert render(text, context()) == expected


def test_an_accelerator_is_named_where_there_is_one() -> None:
    assert render(ByDevice(gpu="cuda", cpu="cpu"), context(has_gpu=True)) == "cuda"


def test_only_texts_of_one_replica_differ_from_replica_to_replica() -> None:
    assert [names_replica(text) for text in (Ordinal(), ("--name=", ReplicaHost()))] == [True, True]
    assert not names_replica(Peers())
    assert needs_stateful(("--peers=", Peers()))
    assert not needs_stateful(("--listen=", Listen("http")))


def test_a_text_is_secret_if_any_part_of_it_is() -> None:
    assert is_secret(("public ", Secret("a")))
    assert not is_secret(("public ", Listen("http")))


def test_a_placement_does_not_show_its_secrets() -> None:
    assert "seed" not in repr(context())
    assert SECRETS.encode(Secret("a")) not in repr(context())
