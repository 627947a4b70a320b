"""`python -m apps.api`"""

from __future__ import annotations

from starlette.applications import Starlette

from apps.api.service import application
from apps.application.settings import ApiSettings
from apps.common import serve, settings


def make() -> tuple[ApiSettings, Starlette]:
    loaded = settings.load(ApiSettings)
    return loaded, application(loaded)


if __name__ == "__main__":
    serve.run("api", make)
