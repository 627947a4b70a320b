"""`python -m apps.worker`"""

from __future__ import annotations

from starlette.applications import Starlette

from apps.application.settings import WorkerSettings
from apps.common import serve, settings
from apps.worker.service import application


def make() -> tuple[WorkerSettings, Starlette]:
    loaded = settings.load(WorkerSettings)
    return loaded, application(loaded)


if __name__ == "__main__":
    serve.run("worker", make)
