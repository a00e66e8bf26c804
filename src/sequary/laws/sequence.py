"""Mixers, norms and backbones as the laws see them: [B, T, D] in, [B, T, D] out, and what they declare."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from sequary.core.contracts import Backbone, Mixer, Recurrent
from sequary.core.ctx import Ctx, Memory
from sequary.core.state import State
from sequary.laws.case import GRIDS, Case, each, normal
from sequary.laws.law import distance

SEEN = 1e-10
"""A change above it (relative, as in "equal") counts as seen."""


@dataclasses.dataclass(frozen=True, slots=True)
class Declared:
    """What an instance says it can do. None: its contract says nothing, so nothing is asked."""

    causal: bool
    rowwise: bool
    smooth: bool | None
    pads: bool | None
    packs: bool | None
    orders: bool | None
    dims: tuple[int, ...]
    length: int | None
    remembers: bool
    conditioned: bool
    cost: float | None
    recurrent: bool
    grows: bool


def declared(module: nn.Module) -> Declared:
    if isinstance(module, Mixer):
        stated = {f.name: getattr(module, f.name) for f in dataclasses.fields(Declared) if f.name != "grows"}
        return Declared(**stated, grows=isinstance(module, Recurrent) and module.grows)
    inside = [m for m in module.modules() if isinstance(m, Mixer)]
    if isinstance(module, Backbone):
        # A backbone states three; at any length it does the rest if every mixer inside does; it needs what one of them needs.
        flat = not module.dims
        return Declared(
            causal=module.causal,
            rowwise=all(m.rowwise for m in inside),
            smooth=None,
            pads=(flat and all(m.pads for m in inside)) or None,
            packs=(flat and all(m.packs for m in inside)) or None,
            orders=None,
            dims=module.dims,
            length=next((m.length for m in inside if m.length is not None), None),
            remembers=any(m.remembers for m in inside),
            conditioned=any(m.conditioned for m in inside),
            cost=None,
            recurrent=module.recurrent,
            grows=any(isinstance(m, Recurrent) and m.grows for m in inside),
        )
    # Norms treat each token alone in eval mode.
    return Declared(True, True, True, True, True, False, (), None, False, False, 1.0, False, False)


@dataclasses.dataclass(frozen=True, slots=True)
class Spot:
    """A length, and the axes that it unfolds to."""

    length: int
    grid: tuple[int, ...] | None = None


class SequenceCase(Case):
    def declared(self) -> Declared:
        return declared(self.fresh())

    def spots(self, *lengths: int) -> tuple[Spot, ...]:
        """These lengths; or the grids of every number of axes that it takes; or the one length that it is built for."""
        says = self.declared()
        if says.dims:
            own = self.subject.toy.get("grids")
            grids = own or tuple(g for n in says.dims for g in GRIDS[n])
            return tuple(Spot(int(torch.Size(g).numel()), g) for g in grids)
        return (Spot(says.length),) if says.length is not None else tuple(Spot(n) for n in lengths)

    @property
    def free(self) -> bool:
        """Takes any length."""
        says = self.declared()
        return not says.dims and says.length is None

    def world(self, spot: Spot, seed: int, rows: int = 2, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Ctx]:
        """x [rows, T, D] and the context that it needs: grid, memory, condition."""
        says = self.declared()
        x = normal(rows, spot.length, self.dim, seed=seed, dtype=dtype)
        memory = Memory(normal(rows, 5, self.memory_dim, seed=seed + 50, dtype=dtype)) if says.remembers else None
        cond = normal(rows, self.dim, seed=seed + 60, dtype=dtype) if says.conditioned else None
        return x, Ctx(grid=spot.grid, memory=memory, cond=cond, rng=torch.Generator().manual_seed(seed))

    def args(self, module: nn.Module, seed: int, dtype: torch.dtype = torch.float64) -> tuple[Any, ...]:
        return self.world(self.spots(7)[0], seed, dtype=dtype)

    def call(self, module: nn.Module, *args: Any) -> tuple[Tensor, ...]:
        """Every level of a backbone, the one output of the others."""
        x, ctx = args
        if ctx.rng is not None:  # each call draws the same
            ctx = dataclasses.replace(ctx, rng=torch.Generator(x.device if x.is_cpu else "cpu").manual_seed(0))
        if isinstance(module, Backbone):
            return tuple(level.x for level in module(x, ctx))
        return (module(x, ctx),)

    def run(self, module: nn.Module, x: Tensor, ctx: Ctx) -> Tensor:
        """The output, of a backbone its finest level."""
        return self.call(module, x, ctx)[0]

    @property
    def positional(self) -> bool:
        """The output has a place for each input (a backbone's finest level may be coarser)."""
        spot = self.spots(7)[0]
        return self.run(self.build(), *self.world(spot, 0)).shape[1] == spot.length


def rows_of(ctx: Ctx, rows: slice) -> Ctx:
    return each(ctx, lambda t: t[rows])


def moved(a: Tensor, b: Tensor) -> bool:
    return distance(a, b) > SEEN


def reads(case: SequenceCase, module: nn.Module, x: Tensor, ctx: Ctx) -> Tensor:
    """[B, T, T] bool: does output t change when input s does? By changing each input in turn."""
    base = case.run(module, x, ctx)
    found = torch.zeros(x.shape[0], base.shape[1], x.shape[1], dtype=torch.bool)
    limit = SEEN * base.abs().max().clamp(min=1)
    for s in range(x.shape[1]):
        other = x.clone()
        other[:, s] += normal(x.shape[0], x.shape[2], seed=s + 17, dtype=x.dtype)
        found[:, :, s] = ((case.run(module, other, ctx) - base).abs() > limit).any(-1)
    return found


def advance(module: nn.Module, x_BtD: Tensor, state: State, ctx: Ctx) -> tuple[Tensor, State]:
    return cast(Recurrent, module).step(x_BtD, state, ctx)


def start(module: nn.Module, batch: int, ctx: Ctx) -> State:
    return cast(Recurrent, module).init_state(batch, ctx)


def between(ctx: Ctx, a: int, b: int) -> Ctx:
    """The context of positions a..b−1; memory, a row's condition and rng stay."""
    cut = {n: None if (v := getattr(ctx, n)) is None else v[:, a:b] for n in ("mask", "order", "positions", "segments")}
    cond = ctx.cond[:, a:b] if ctx.cond is not None and ctx.cond.dim() == 3 else ctx.cond
    return dataclasses.replace(ctx, **cut, cond=cond)


def in_steps(module: nn.Module, x: Tensor, ctx: Ctx, split: tuple[int, ...]) -> Tensor:
    """The outputs of steps of these sizes, side by side."""
    state, out, at = start(module, x.shape[0], ctx), [], 0
    for size in split:
        y, state = advance(module, x[:, at : at + size], state, between(ctx, at, at + size))
        out.append(y)
        at += size
    return torch.cat(out, 1)


def states(name: str) -> Callable[[SequenceCase], bool]:
    """Applies where the contract states the declaration `name` (a backbone states few)."""
    return lambda case: getattr(case.declared(), name) is not None and case.positional
