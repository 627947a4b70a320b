"""Places the nodes of a graph in columns, so that edges lead from left to right.

The usual method for layered graphs (Sugiyama): each node is to the right of those that lead to it; an
edge that passes columns gets a place in each of them; each column is sorted by where its neighbours
are, which removes most crossings.
"""

import itertools
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

SWEEPS = 12

Edge = tuple[str, str]
Place = Hashable
"""A node by its name, or an edge in a column that it passes, as (edge, column)."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """`columns`: from left to right, each from top to bottom. `routes`: by edge, the places from its
    first node to its second."""

    columns: Sequence[Sequence[Place]]
    routes: dict[Edge, Sequence[Place]]


def arrange(nodes: Sequence[str], edges: Iterable[Edge]) -> Layout:
    """`nodes`: in an order that most edges follow. The other edges lead to the left."""
    number = {name: index for index, name in enumerate(nodes)}
    edges = sorted({edge for edge in edges if edge[0] != edge[1]})
    forward = sorted(
        (sorted(edge, key=number.__getitem__) for edge in edges),
        key=lambda edge: number[edge[0]],
    )
    column = dict.fromkeys(nodes, 0)
    for left, right in forward:
        column[right] = max(column[right], column[left] + 1)
    columns: list[list[Place]] = [[] for _ in range(max(column.values(), default=-1) + 1)]
    for name in nodes:
        columns[column[name]].append(name)
    routes: dict[Edge, Sequence[Place]] = {}
    for edge in edges:
        left, right = sorted(edge, key=number.__getitem__)
        between = range(column[left] + 1, column[right])
        route: list[Place] = [left, *((edge, index) for index in between), right]
        for index in between:
            columns[index].append((edge, index))
        routes[edge] = route if left == edge[0] else route[::-1]
    _sort(columns, routes.values())
    return Layout(columns=columns, routes=routes)


def _sort(columns: Sequence[list[Place]], routes: Iterable[Sequence[Place]]) -> None:
    neighbours: dict[Place, list[Place]] = {}
    for route in routes:
        for one, other in itertools.pairwise(route):
            neighbours.setdefault(one, []).append(other)
            neighbours.setdefault(other, []).append(one)
    indices = range(len(columns))
    for sweep in range(SWEEPS):
        # By the column to the left on the way to the right, then by that to the right on the way back.
        step = 1 if sweep % 2 == 0 else -1
        for index in indices[1:] if step == 1 else indices[-2::-1]:
            fixed = columns[index - step]
            # Where a place is in its column, from 0 to 1: columns have different lengths.
            heights = {each: (row + 0.5) / len(fixed) for row, each in enumerate(fixed)}
            own = columns[index]
            before = {each: (row + 0.5) / len(own) for row, each in enumerate(own)}

            def height(
                place: Place,
                heights: dict[Place, float] = heights,
                before: dict[Place, float] = before,
            ) -> float:
                near = [heights[each] for each in neighbours.get(place, ()) if each in heights]
                return sum(near) / len(near) if near else before[place]

            own.sort(key=height)
