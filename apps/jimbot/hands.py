"""Hands of cards and their scores.

A card is its rank and suit: `AS`, `TD`, `7H`. A play is one to five of the cards in hand, and scores as
in the game Balatro without jokers: the chips of the play's name and of the cards that make it, times
its multiplier.
"""

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

RANKS = "23456789TJQKA"
SUITS = "CDHS"
DECK = tuple(rank + suit for rank in RANKS for suit in SUITS)
PLAY_MAX = 5
HAND_MAX = 8

# Chips and multiplier of each play at its first level.
VALUES = {
    "straight_flush": (100, 8),
    "four_of_a_kind": (60, 7),
    "full_house": (40, 4),
    "flush": (35, 4),
    "straight": (30, 4),
    "three_of_a_kind": (30, 3),
    "two_pair": (20, 2),
    "pair": (10, 2),
    "high_card": (5, 1),
}
CHIPS = {rank: min(number, 10) for number, rank in enumerate(RANKS, start=2)} | {"A": 11}
_ORDER = {rank: number for number, rank in enumerate(RANKS)}
_STRAIGHTS = {frozenset(RANKS[first : first + 5]) for first in range(9)} | {frozenset("A2345")}


class HandError(ValueError):
    """The cards aren't a hand, with the reason."""


@dataclass(frozen=True)
class Play:
    """The cards to play, the name of the play (a key of VALUES), and its score."""

    cards: tuple[str, ...]
    name: str
    score: int


def parse(cards: Sequence[str]) -> tuple[str, ...]:
    """The cards in upper case. Raises `HandError` unless they are 1 to 8 different cards of a deck."""
    hand = tuple(card.strip().upper() for card in cards)
    if not 1 <= len(hand) <= HAND_MAX:
        raise HandError(f"a hand has 1 to {HAND_MAX} cards, not {len(hand)}")
    for card in hand:
        if card not in DECK:
            raise HandError(
                f"{card!r} is not a card: write a rank of {RANKS} and a suit of {SUITS}"
            )
    if len(set(hand)) < len(hand):
        raise HandError("a card is listed twice")
    return hand


def best(hand: Sequence[str]) -> Play:
    """The play with the highest score. Cards that don't count are left out of it."""
    # Cards that don't count don't change a score, so the largest plays are enough.
    plays = itertools.combinations(hand, min(len(hand), PLAY_MAX))
    return max((_play(cards) for cards in plays), key=lambda play: play.score)


def count_beaten(score: int, size: int, samples: int, seed: int) -> int:
    """How many of `samples` random hands of `size` cards have no play with a score as high."""
    dealer = random.Random(seed)  # noqa: S311 - a simulation
    return sum(best(dealer.sample(DECK, size)).score < score for _ in range(samples))


def _play(cards: Sequence[str]) -> Play:
    name, counted = _counted(cards)
    chips, multiplier = VALUES[name]
    return Play(counted, name, (chips + sum(CHIPS[card[0]] for card in counted)) * multiplier)


def _counted(cards: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The name of a play of up to five cards, and those of them that count."""
    ranks = Counter(card[0] for card in cards)
    flush = len(cards) == PLAY_MAX and len({card[1] for card in cards}) == 1
    straight = len(cards) == PLAY_MAX and frozenset(ranks) in _STRAIGHTS
    counts = sorted(ranks.values(), reverse=True)
    match (flush, straight, counts):
        case (True, True, _):
            name = "straight_flush"
        case (_, _, [4, *_]):
            return "four_of_a_kind", _of(cards, ranks, 4)
        case (_, _, [3, 2]):
            name = "full_house"
        case (True, _, _):
            name = "flush"
        case (_, True, _):
            name = "straight"
        case (_, _, [3, *_]):
            return "three_of_a_kind", _of(cards, ranks, 3)
        case (_, _, [2, 2, *_]):
            return "two_pair", _of(cards, ranks, 2)
        case (_, _, [2, *_]):
            return "pair", _of(cards, ranks, 2)
        case _:
            return "high_card", (max(cards, key=lambda card: _ORDER[card[0]]),)
    return name, tuple(cards)


def _of(cards: Sequence[str], ranks: Counter[str], count: int) -> tuple[str, ...]:
    return tuple(card for card in cards if ranks[card[0]] == count)
