"""What the tests of components compose: a small application, changed in a field or two."""

from typing import Any

from strata.components import AppService, AppServiceArgs, GpuService, GpuServiceArgs
from strata.model import Endpoint, Gpu, GpuMode, Resources
from strata.platforms.platform import Platform
from tests.components.stack import Composed, compose

SMALL = Resources(memory_mib=64, cpu=0.5)


def application(platform: Platform, name: str, *calls: Endpoint, **changed: Any) -> AppService:
    """A small application that calls others."""
    fields: dict[str, Any] = {
        "platform": platform,
        "image": "probe-server",
        "resources": SMALL,
        "calls": {f"{one.service.upper()}_URL": one for one in calls},
    }
    return AppService(name, AppServiceArgs(**(fields | changed)))


def alone(**changed: Any) -> dict[str, Any]:
    """The inputs of the container of one application, `app`."""
    return compose(lambda platform: _only(platform, **changed)).recorded.service("app")


def on_gpu(platform: Platform, name: str, mode: GpuMode = GpuMode.PREFER, **gpu: Any) -> GpuService:
    """A small application that asks for GPUs."""
    replicas: int = gpu.pop("replicas", 1)
    return GpuService(
        name,
        GpuServiceArgs(
            platform=platform,
            image="inference",
            resources=SMALL,
            replicas=replicas,
            gpu=Gpu(mode=mode, image="inference-cuda", **gpu),
        ),
    )


def composed(**changed: Any) -> Composed:
    """A stack of one application, `app`."""
    return compose(lambda platform: _only(platform, **changed))


def _only(platform: Platform, **changed: Any) -> None:
    application(platform, "app", **changed)
