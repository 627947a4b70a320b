"""Configuration files as JSON, which every YAML parser reads too."""

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from strata.model import BucketName, ListenAddress, Namespace, Region, StackName, Text
from strata.model.text import Part

STACK, NAMESPACE, BUCKET, REGION = "\0stack\0", "\0namespace\0", "\0bucket\0", "\0region\0"
ADDRESS = "\0address\0"
"""Placeholders in a `document`. The address is the one that the service's port `http` listens on."""

_PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "stack": StackName(),
        "namespace": Namespace(),
        "bucket": BucketName(),
        "region": Region(),
        "address": ListenAddress("http"),
    }
)
# As JSON escapes them.
_PLACEHOLDER = re.compile(r"\\u0000(\w+)\\u0000")


def plain_document(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1) + "\n"


def document(content: Mapping[str, Any]) -> Text:
    """A document whose placeholders the platform fills in."""
    pieces = _PLACEHOLDER.split(plain_document(content))
    # Text and placeholders take turns.
    return tuple(_PARTS[piece] if index % 2 else piece for index, piece in enumerate(pieces))
