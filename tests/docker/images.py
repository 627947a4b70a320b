"""Images that set-up doesn't build. A run builds those of its tests in the background, because compiling takes minutes
while most tests wait for health checks."""

import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

from strata.images.build import build
from strata.images.choose import choose

OPENID, OTELCOL, PEBBLE = (
    str(Path(__file__).with_name(name)) for name in ("openid", "otelcol", "pebble")
)
BY_TEST = {
    "test_jimbot": ("jimbot",),
    "test_login": (OPENID, "oauth2-proxy", "traefik"),
    "test_project88": ("traefik", "pgadmin", "project88", "mailpit"),
    "test_standard": (OTELCOL,),
    "test_traefik": ("traefik", PEBBLE),
}
"""By test file, in the order in which pytest runs them."""

_ended: dict[str, Event] = {}
"""By image of this run: set when its build in the background has ended, whether or not it succeeded."""


@contextmanager
def building(tests: Collection[str]) -> Iterator[None]:
    """Builds the images of these test files in the background, one after another, until the block ends."""
    _ended.update({name: Event() for test in BY_TEST if test in tests for name in BY_TEST[test]})
    over = Event()

    def build_all() -> None:
        for name, ended in _ended.items():
            # A process of its own: tests change the environment of this one.
            command = [sys.executable, "-m", "strata", "images", "build", name]
            try:
                with subprocess.Popen(
                    command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                ) as process:
                    while process.poll() is None and not over.wait(0.5):
                        pass
                    # The engine stops a build when its client disconnects.
                    process.kill()
            finally:
                ended.set()
            if over.is_set():
                return

    thread = Thread(target=build_all)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        _ended.clear()


def settle() -> None:
    """Returns once nothing is built in the background, for a test with a deadline."""
    for ended in _ended.values():
        ended.wait()


def ensure(engine: Any, *names: str) -> None:
    """Returns once the engine has these images. Builds what the background doesn't, or failed to: that reports the
    error."""
    for name in names:
        if name in _ended:
            _ended[name].wait()
    build(engine, names, choose()[0], lambda _name, _state: None)
