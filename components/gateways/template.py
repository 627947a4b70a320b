"""Configuration files with placeholders."""

import re
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

from strata.model import Text
from strata.model.text import Part

# `@name@`; alone on a line, it stands for any number of lines.
PLACEHOLDER = re.compile(r"(?:^ *)?@(\w+)@\n?", re.MULTILINE)


def fill(template: Path, values: Mapping[str, Iterable[Part]]) -> Text:
    """The template with a value for each placeholder."""
    # Text and the names of placeholders take turns.
    pieces = PLACEHOLDER.split(template.read_text())
    texts: Iterable[Iterable[Part]] = (
        values[piece] if index % 2 else [piece] for index, piece in enumerate(pieces)
    )
    return tuple(chain.from_iterable(texts))
