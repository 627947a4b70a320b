"""How a program ends when something is wrong."""

import sys
import warnings
from typing import NoReturn

import pulumi

STATUS_REPORTED = 32
"""The exit status that tells Pulumi that the program has already reported the error; for any other
status Pulumi adds an error of its own (pulumi-language-python-exec)."""


def fail(error: Exception) -> NoReturn:
    """Reports the error and ends the program, with no other output."""
    pulumi.log.error(str(error))
    # What was in flight is dropped on purpose; Python would warn about each part of it.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    sys.exit(STATUS_REPORTED)
