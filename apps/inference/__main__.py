"""`python -m apps.inference`"""

from __future__ import annotations

from starlette.applications import Starlette

from apps.common import serve, settings
from apps.inference.service import application
from apps.inference.settings import InferenceSettings


def make() -> tuple[InferenceSettings, Starlette]:
    loaded = settings.load(InferenceSettings)
    return loaded, application(loaded)


if __name__ == "__main__":
    serve.run("inference", make)
