"""Keeps a command alone on its stack, and brings the stack back to a known state if it fails."""

import fcntl
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from strata import folders
from strata.errors import InvalidStackError, OpsError, OpsInterruptedError, Problem, reason
from strata.platforms.docker.names import ResourceNames

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def alone(names: ResourceNames) -> Iterator[None]:
    """Rejects a second backup or restore of the stack. The lock ends with the process."""
    path = folders.state() / f"backup-{names.owner}-{names.stack}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = "another backup or restore of this stack is running"
            raise InvalidStackError(
                [Problem(f"stack {names.stack}", message, "wait until it has ended")]
            ) from None
        yield


def interrupt_on_signals() -> None:
    """Makes a signal to end the same as Ctrl-C, so that stopped services are started again."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for each in SIGNALS:
        signal.signal(each, interrupt)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignores these signals during a rollback."""
    before = {each: signal.signal(each, signal.SIG_IGN) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def failed(error: BaseException, state: str, fix: str = "") -> OpsError:
    """The error of a command that `error` ended and that left the stack in `state`."""
    if isinstance(error, KeyboardInterrupt):
        return OpsInterruptedError(f"interrupted\n    {state}", fix)
    return OpsError(f"{reason(error)}\n    {state}", fix)


def attempt(actions: Iterable[Callable[[], object]]) -> str:
    """Runs every action, whether or not those before failed; returns the failures."""
    failures: list[str] = []
    for action in actions:
        try:
            action()
        except Exception as error:
            failures.append(reason(error))
    return "; ".join(failures)
