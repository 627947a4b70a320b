"""What the tests of the Kubernetes platform compose: one application, `app`, or one job."""

from typing import Any

from strata.components import AppJob, AppJobArgs
from strata.stack import Stack
from tests.components.example import SMALL, application
from tests.components.kubernetes.stack import Composed, compose

JOB = "job"


def composed(**changed: Any) -> Composed:
    """A stack of one application, `app`, changed in a field or two."""
    return compose(lambda stack: _application(stack, **changed))


def container(**changed: Any) -> dict[str, Any]:
    return composed(**changed).recorded.container("app")


def pod(**changed: Any) -> dict[str, Any]:
    return composed(**changed).recorded.pod("app")


def workload(**changed: Any) -> dict[str, Any]:
    return composed(**changed).recorded.workload("app")


def job(stack: Stack, name: str = JOB, **changed: Any) -> AppJob:
    """A small job."""
    fields: dict[str, Any] = {
        "stack": stack,
        "image": "application",
        "command": ("python3", "-m", "apps.migrate"),
        "resources": SMALL,
    }
    return AppJob(name, AppJobArgs(**(fields | changed)))


def composed_job(**changed: Any) -> Composed:
    return compose(lambda stack: _job(stack, **changed))


def _application(stack: Stack, **changed: Any) -> None:
    application(stack, "app", **changed)


def _job(stack: Stack, **changed: Any) -> None:
    job(stack, **changed)
