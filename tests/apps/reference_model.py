"""The model once more, in plain numpy, straight from its definition: what the ONNX graph must agree
with."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def _norm(weights: dict[str, Array], name: str, value: Array) -> Array:
    centred = value - value.mean(-1, keepdims=True)
    scaled: Array = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
    result: Array = scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return result


def _dense(weights: dict[str, Array], name: str, value: Array) -> Array:
    return value @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def _gelu(value: Array) -> Array:
    result: Array = value * (1 + np.vectorize(math.erf)(value / math.sqrt(2))) / 2
    return result


def _attention(weights: dict[str, Array], name: str, hidden: Array, heads: int) -> Array:
    tokens, width = hidden.shape
    query, key, value = (
        _dense(weights, f"{name}.self.{part}", hidden).reshape(tokens, heads, -1).transpose(1, 0, 2)
        for part in ("query", "key", "value")
    )
    scores = query @ key.transpose(0, 2, 1) / math.sqrt(width / heads)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = (scores / scores.sum(-1, keepdims=True)) @ value
    return _dense(weights, f"{name}.output.dense", mixed.transpose(1, 0, 2).reshape(tokens, width))


def embed(weights: dict[str, Array], ids: list[int], layers: int = 6, heads: int = 12) -> Array:
    """The embedding of one text. No padding here, so what padding does elsewhere shows."""
    hidden = weights["embeddings.word_embeddings.weight"][ids]
    hidden = hidden + weights["embeddings.position_embeddings.weight"][: len(ids)]
    hidden = hidden + weights["embeddings.token_type_embeddings.weight"][0]
    hidden = _norm(weights, "embeddings.LayerNorm", hidden)
    for layer in range(layers):
        name = f"encoder.layer.{layer}"
        attended = _attention(weights, f"{name}.attention", hidden, heads)
        hidden = _norm(weights, f"{name}.attention.output.LayerNorm", attended + hidden)
        inner = _gelu(_dense(weights, f"{name}.intermediate.dense", hidden))
        hidden = _norm(
            weights,
            f"{name}.output.LayerNorm",
            _dense(weights, f"{name}.output.dense", inner) + hidden,
        )
    mean: Array = hidden.mean(0)
    return mean / np.linalg.norm(mean)
