"""Trees: spanning ones of least weight, distances, and how a tree is split at pivots into halves of about equal size."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

Edge = tuple[int, int, float]
Neighbours = Sequence[Sequence[tuple[int, float]]]
LEAF = 24
"""Up to so many vertices are not split any further."""


@dataclasses.dataclass(frozen=True)
class Split:
    """The vertices on either side of a pivot, and how far they are from it."""

    left: Tensor
    a: Tensor
    right: Tensor
    b: Tensor


@dataclasses.dataclass(frozen=True)
class Plan:
    """Of a tree with N vertices: all splits; and the blocks that remain, [G, M] vertices with their distances [G, M, M].

    `real` [G, M]: False for what fills up a block, and for a pivot that another block counts.
    """

    edges: tuple[Edge, ...]
    splits: tuple[Split, ...]
    blocks: Tensor
    within: Tensor
    real: Tensor

    def distances(self) -> Tensor:
        """[N, N]."""
        return torch.from_numpy(all_distances(neighbours(self.edges)))  # pyright: ignore[reportUnknownMemberType] - no stub


def neighbours(edges: Iterable[Edge]) -> Neighbours:
    edges = list(edges)
    near: list[list[tuple[int, float]]] = [[] for _ in range(len(edges) + 1)]
    for u, v, weight in edges:
        near[u].append((v, weight))
        near[v].append((u, weight))
    return near


def spanning_tree(count: int, edges: Iterable[Edge]) -> tuple[Edge, ...]:
    """Of least weight (Kruskal); among equals the first given."""
    root = list(range(count))

    def top(v: int) -> int:
        while root[v] != v:
            root[v] = root[root[v]]
            v = root[v]
        return v

    kept: list[Edge] = []
    for u, v, weight in sorted(edges, key=lambda edge: edge[2]):
        if top(u) != top(v):
            root[top(u)] = top(v)
            kept.append((u, v, weight))
    if len(kept) != count - 1:
        raise ValueError(f"{count} vertices with {count - len(kept)} parts: a tree spans a connected graph only")
    return tuple(kept)


@functools.lru_cache(maxsize=64)
def grid_plan(grid: tuple[int, ...]) -> Plan:
    """Of the spanning tree of a grid whose neighbours are 1 apart; cells in row-major order, later axes first."""
    index = np.arange(math.prod(grid)).reshape(grid)
    edges: list[Edge] = []
    for axis in reversed(range(len(grid))):
        lower, upper = (np.moveaxis(index, axis, 0)[s].flatten().tolist() for s in (slice(None, -1), slice(1, None)))
        edges += [(u, v, 1.0) for u, v in zip(lower, upper, strict=True)]
    with torch.inference_mode(False):  # what is made in it could not be learnt with by a later call
        return plan_of(spanning_tree(index.size, edges))


def all_distances(near: Neighbours) -> np.ndarray:
    """[N, N]: each vertex is as far from those before it, in the order of a walk from vertex 0, as its parent, and one edge more."""
    distance = np.zeros((len(near), len(near)))
    seen = [0]
    for u, v, weight in _walk(near, 0, range(len(near))):
        distance[v, seen] = distance[u, seen] + weight
        distance[seen, v] = distance[v, seen]
        seen.append(v)
    return distance


def _walk(near: Neighbours, start: int, inside: Iterable[int]) -> list[tuple[int, int, float]]:
    """(from, to, weight) of each edge on a walk from `start` over the vertices `inside`, parents first."""
    left = set(inside) - {start}
    found: list[tuple[int, int, float]] = []
    last = [start]
    while last:
        following: list[int] = []
        for u in last:
            for v, weight in near[u]:
                if v in left:
                    left.discard(v)
                    found.append((u, v, weight))
                    following.append(v)
        last = following
    return found


def plan_of(edges: Sequence[Edge], leaf: int = LEAF) -> Plan:
    """A pivot stays in both halves, since paths lead through it, but counts in one only."""
    near = neighbours(edges)
    splits: list[Split] = []
    blocks: list[tuple[list[int], set[int]]] = []
    todo: list[tuple[list[int], set[int]]] = [(list(range(len(near))), set())]
    while todo:
        vertices, ghosts = todo.pop()
        if len(vertices) <= max(3, leaf):
            blocks.append((vertices, ghosts))
            continue
        pivot, left, right, far = _halves(near, vertices)
        own = [v for v in (pivot, *left) if v not in ghosts]
        other = [v for v in right if v not in ghosts]
        if own and other:
            tables = (
                [torch.tensor(side), torch.tensor([far[v] for v in side], dtype=torch.float64)] for side in (own, other)
            )
            splits.append(Split(*itertools.chain.from_iterable(tables)))
        todo += [([pivot, *left], ghosts & {pivot, *left}), ([pivot, *right], ghosts & set(right) | {pivot})]
    return Plan(tuple(edges), tuple(splits), *_blocks(near, blocks))


def _halves(near: Neighbours, vertices: list[int]) -> tuple[int, list[int], list[int], dict[int, float]]:
    """(the pivot whose greatest branch is least, its branches in two halves, how far each vertex is from it)."""
    walk = _walk(near, vertices[0], vertices)
    below, worst = dict.fromkeys(vertices, 1), dict.fromkeys(vertices, 0)
    for u, v, _ in reversed(walk):
        below[u] += below[v]
        worst[u] = max(worst[u], below[v])
    pivot = min(vertices, key=lambda v: max(worst[v], len(vertices) - below[v]))
    far, branch = {pivot: 0.0}, dict[int, int]()
    for u, v, weight in _walk(near, pivot, vertices):
        far[v], branch[v] = far[u] + weight, branch.get(u, v)
    members: dict[int, list[int]] = {}
    for v, first in branch.items():
        members.setdefault(first, []).append(v)
    left, right = list[int](), list[int]()
    for some in sorted(members.values(), key=len, reverse=True):
        (left if len(left) <= len(right) else right).extend(some)
    return pivot, left, right, far


def _blocks(near: Neighbours, blocks: list[tuple[list[int], set[int]]]) -> tuple[Tensor, Tensor, Tensor]:
    """(vertices [G, M], distances [G, M, M], which count [G, M])."""
    most = max(len(vertices) for vertices, _ in blocks)
    index = torch.zeros(len(blocks), most, dtype=torch.long)
    within, real = torch.zeros(len(blocks), most, most), torch.zeros(len(blocks), most, dtype=torch.bool)
    within = within.double()
    for g, (vertices, ghosts) in enumerate(blocks):
        size, place = len(vertices), {v: n for n, v in enumerate(vertices)}
        index[g, :size] = torch.tensor(vertices)
        real[g, :size] = torch.tensor([v not in ghosts for v in vertices])
        inner = [[(place[v], weight) for v, weight in near[u] if v in place] for u in vertices]
        within[g, :size, :size] = torch.from_numpy(all_distances(inner))  # pyright: ignore[reportUnknownMemberType] - no stub
    return index, within, real
