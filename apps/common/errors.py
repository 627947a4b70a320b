"""Errors that services tell apart: what is down comes back, what is refused does not."""


class UnavailableError(Exception):
    """A dependency does not answer now. Worth trying again; never the fault of a document."""

    def __init__(self, dependency: str, reason: str) -> None:
        super().__init__(f"{dependency} is unavailable: {reason}")
        self.dependency = dependency


class RefusedError(Exception):
    """A dependency looked at the input and said no. Trying the same again gives the same."""


class SettingsError(Exception):
    """The environment of a service is not usable; the message names the variable."""


def describe(error: BaseException) -> str:
    """An error in one short line. Only its first line: the details of a database error carry the
    row, and so the text."""
    lines = str(error).strip().splitlines()
    name = type(error).__name__
    return f"{name}: {lines[0][:200]}" if lines else name
