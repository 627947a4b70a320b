"""Imports the code of an image's recipe, whose folder isn't a package."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

from strata.images import content

RECORDED = Path(__file__).parent / "recorded"


def load(image: str, name: str) -> Any:
    """The module `name` of the recipe of `image`."""
    folder = content.RECIPES / image
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module
