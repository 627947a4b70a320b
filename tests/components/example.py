"""What the tests of components compose: a small application, changed in a field or two."""

from typing import Any

from strata.components import AppService, AppServiceArgs, GpuService, GpuServiceArgs
from strata.config import Settings
from strata.model import (
    Endpoint,
    File,
    Gpu,
    GpuMode,
    Listen,
    Monitoring,
    Ordinal,
    Peers,
    Port,
    Protocol,
    ReplicaHost,
    Resources,
    Volume,
)
from strata.stack import Stack
from tests.components.stack import Composed, compose

SMALL = Resources(memory_mib=64, cpu=0.5)


def application(stack: Stack, name: str, *calls: Endpoint, **changed: Any) -> AppService:
    """A small application that calls others."""
    fields: dict[str, Any] = {
        "stack": stack,
        "image": "probe-server",
        "resources": SMALL,
        "calls": {f"{one.service.upper()}_URL": one for one in calls},
    }
    return AppService(name, AppServiceArgs(**(fields | changed)))


def alone(**changed: Any) -> dict[str, Any]:
    """The inputs of the container of one application, `app`."""
    return compose(lambda stack: _only(stack, **changed)).recorded.service("app")


def on_gpu(stack: Stack, name: str, mode: GpuMode = GpuMode.PREFER, **gpu: Any) -> GpuService:
    """A small application that asks for GPUs."""
    replicas: int = gpu.pop("replicas", 1)
    monitoring: Monitoring | None = gpu.pop("monitoring", None)
    return GpuService(
        name,
        GpuServiceArgs(
            stack=stack,
            image="inference",
            resources=SMALL,
            replicas=replicas,
            monitoring=monitoring,
            gpu=Gpu(mode=mode, image="inference-cuda", **gpu),
        ),
    )


def stateful(stack: Stack) -> None:
    """A cluster of three replicas, `store`, and its client."""
    store = application(
        stack,
        "store",
        replicas=3,
        stateful=True,
        ports=(Port(name="gossip", number=9001, last=9003, protocol=Protocol.UDP, peers=True),),
        volumes=(Volume(name="data", path="/data"),),
        command=("serve", ("--name=", ReplicaHost())),
        prepare=("join", Ordinal()),
        environment={
            "ORDINAL": Ordinal(),
            "HOST": ReplicaHost(),
            "PEERS": Peers(),
            "SEEDS": Peers(template="{ordinal}:{host}:9001", separator=" "),
            "GOSSIP": Listen("gossip"),
        },
        files=(File(path="/etc/store/peers", content=Peers(separator="\n")),),
    )
    application(stack, "client", store.endpoint())


def composed(**changed: Any) -> Composed:
    """A stack of one application, `app`."""
    return compose(lambda stack: _only(stack, **changed))


def _only(stack: Stack, **changed: Any) -> None:
    application(stack, "app", **changed)


def settings(**changed: Any) -> Settings:
    """Settings by the keys of Pulumi.<stack>.yaml."""
    return Settings.model_validate(changed)
