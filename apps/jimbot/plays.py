"""What the stores keep of an advice."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    """The best play of a hand. `id` is a UUID; `name` is that of the play, `beats` the share of random
    hands that it beats."""

    id: str
    player: str
    cards: tuple[str, ...]
    name: str
    score: int
    beats: float
