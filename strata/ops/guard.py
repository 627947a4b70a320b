"""One command at a time, and none that an interruption leaves half way."""

import fcntl
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from strata.images.content import REPOSITORY
from strata.model import InvalidStackError, Problem
from strata.platforms.docker.names import ResourceNames

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def alone(names: ResourceNames) -> Iterator[None]:
    """Keeps a second backup or restore of the stack out. The lock ends with the process, however
    that ends."""
    path = REPOSITORY / ".toolchain" / f"backup-{names.owner}-{names.stack}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            problem = "another backup or restore of this stack is at work"
            raise InvalidStackError(
                [Problem(f"stack {names.stack}", problem, "wait for its end")]
            ) from None
        yield


def interrupt_on_signals() -> None:
    """Makes being told to end the same as Ctrl-C, so that what was stopped is started again."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for one in SIGNALS:
        signal.signal(one, interrupt)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignores these signals: what happens here sets things right again."""
    before = {one: signal.signal(one, signal.SIG_IGN) for one in SIGNALS}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
