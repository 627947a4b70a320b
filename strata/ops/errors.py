"""What a person is told when a command was begun and could not be carried out.

What is wrong before anything is touched is a `strata.model.InvalidStackError` instead.
"""

from collections.abc import Callable, Iterable


class OpsError(Exception):
    """Says what went wrong, the state that things are in, and what to do."""


class BrokenOffError(OpsError):
    """The person, or the host, told the command to end."""


def ended(error: BaseException, state: str) -> OpsError:
    """The error of a command that was ended by `error`, and left things in `state`."""
    if isinstance(error, KeyboardInterrupt):
        return BrokenOffError(f"interrupted\n    {state}")
    return OpsError(f"{reason(error)}\n    {state}")


def attempt(steps: Iterable[Callable[[], object]]) -> str:
    """Takes every step, whatever came of those before; says which failures there were."""
    failures: list[str] = []
    for step in steps:
        try:
            step()
        except Exception as error:
            failures.append(reason(error))
    return "; ".join(failures)


def reason(error: BaseException) -> str:
    """Why, in words."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__
