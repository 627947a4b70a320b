"""Texts to token ids."""

import os
from pathlib import Path

# One text at a time is too little for threads of its own, and they would survive into nothing.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from tokenizers import Tokenizer

# A model's few hundred tokens are long full by here; tokenizing a whole book to throw it away would
# hold up everyone.
CHARACTERS_READ = 8192


class Tokens:
    """The model's tokenizer, cut off at `tokens_max` tokens."""

    def __init__(self, path: Path, tokens_max: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(tokens_max)

    def encode(self, text: str) -> list[int]:
        """The ids of a text, with the model's marker tokens: never empty."""
        ids: list[int] = self._tokenizer.encode(text[:CHARACTERS_READ]).ids
        return ids
