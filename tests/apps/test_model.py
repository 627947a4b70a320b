"""The ONNX graph that is written from the weights, against a plain numpy model and known
similarities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from apps.inference.model import __main__ as writer
from apps.inference.model import weights
from apps.inference.model_session import ModelSession
from apps.inference.tokens import CHARACTERS_READ, Tokens
from tests.apps import reference_model

TEXTS = [
    "A man is eating food.",
    "A man is eating a piece of bread.",
    "The girl is carrying a baby.",
    "How do I reset my password, and why does the page not load when I am signed in?",
    "x",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        weights.folder()
    except FileNotFoundError as error:
        pytest.fail(str(error))
    target = tmp_path_factory.mktemp("model")
    writer.main(target)
    return target


@pytest.fixture(scope="module")
def tokens(folder: Path) -> Tokens:
    return Tokens(folder / "tokenizer.json", 256)


@pytest.fixture(scope="module")
def session(folder: Path) -> ModelSession:
    return ModelSession(folder / "model.onnx", 2, "cpu")


def vectors(session: ModelSession, tokens: Tokens, texts: list[str]) -> NDArray[np.float32]:
    return session.embed([tokens.encode(text) for text in texts])


def test_it_agrees_with_the_plain_model(session: ModelSession, tokens: Tokens) -> None:
    """In one padded batch, against a model that knows no padding."""
    plain = {name: tensor.astype(np.float64) for name, tensor in weights.load().items()}
    expected = np.stack([reference_model.embed(plain, tokens.encode(text)) for text in TEXTS])
    assert np.abs(vectors(session, tokens, TEXTS) - expected).max() < 1e-5


def test_known_similarities(session: ModelSession, tokens: Tokens) -> None:
    """The figures that the model's makers publish for these sentences."""
    found = vectors(session, tokens, TEXTS[:3])
    assert float(found[0] @ found[1]) == pytest.approx(0.7553, abs=1e-3)
    assert float(found[0] @ found[2]) == pytest.approx(-0.1050, abs=1e-3)


@pytest.mark.parametrize(
    ("query", "near", "far"),
    [
        ("cold weather", "The harbour freezes over in January.", "Bread rises because of yeast."),
        ("football result", "The striker scored twice.", "Interest rates went up."),
        ("a pet", "Our cat sleeps on the radiator.", "The telescope found a planet."),
    ],
)
def test_what_means_the_same_is_nearer(
    session: ModelSession, tokens: Tokens, query: str, near: str, far: str
) -> None:
    found = vectors(session, tokens, [query, near, far])
    assert found[0] @ found[1] > found[0] @ found[2] + 0.1


def test_every_vector_has_length_one_and_does_not_depend_on_its_batch(
    session: ModelSession, tokens: Tokens
) -> None:
    together = vectors(session, tokens, TEXTS)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    for text, vector in zip(TEXTS, together, strict=True):
        assert np.abs(vectors(session, tokens, [text])[0] - vector).max() < 1e-5


def test_long_and_empty_texts(session: ModelSession, tokens: Tokens) -> None:
    assert len(tokens.encode("word " * 5000)) == 256
    assert len(tokens.encode("")) == 2
    assert tokens.encode("word " * 5000) == tokens.encode(("word " * 5000)[:CHARACTERS_READ])
    assert vectors(session, tokens, ["", "word " * 5000]).shape == (2, 384)


def test_the_optimized_graph_is_kept_and_gives_the_same_vectors(
    folder: Path, tokens: Tokens, session: ModelSession, tmp_path: Path
) -> None:
    expected = vectors(session, tokens, TEXTS)

    def kept() -> Path:
        """The cache's only file, after a start whose vectors are right."""
        found = vectors(ModelSession(folder / "model.onnx", 2, "cpu", tmp_path), tokens, TEXTS)
        assert np.abs(found - expected).max() < 1e-5
        (file,) = tmp_path.iterdir()
        return file

    optimized = kept()
    written_at = optimized.stat().st_mtime_ns
    assert kept().stat().st_mtime_ns == written_at, "the second start only reads it"
    (tmp_path / "of-another-version.onnx").touch()
    optimized.write_bytes(b"cut off")
    ModelSession(folder / "model.onnx", 2, "cpu", tmp_path)
    assert kept().stat().st_size > 1_000_000


def test_a_model_loads_without_its_cache(folder: Path, tokens: Tokens, tmp_path: Path) -> None:
    session = ModelSession(folder / "model.onnx", 2, "cpu", tmp_path / "no-such-folder")
    assert vectors(session, tokens, ["tea"]).shape == (1, 384)
