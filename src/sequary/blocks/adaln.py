"""Adaptive norms: scale, shift and gate of every branch read a condition (DiT, Peebles & Xie, arXiv 2212.09748, section 3.2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.blocks.norms import LayerNorm, Norm
from sequary.blocks.residual import Branched, advance
from sequary.core.contracts import Mixer, Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State, Stateless, States
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.dense import MLP

BARE = part(LayerNorm, eps=1e-6, affine=False)


def condition(ctx: Ctx) -> Tensor:
    """[B, 1 or T, D]."""
    if ctx.cond is None:
        raise ValueError("adaptive norms need ctx.cond, [B, D] or [B, T, D]; none was given")
    return ctx.cond[:, None] if ctx.cond.dim() == 2 else ctx.cond


class Modulation(nn.Module):
    """[B, t, D] -> `count` vectors each: W silu(c) + b."""

    def __init__(self, dim: int, *, count: int = 6) -> None:
        super().__init__()
        self.count, self.out = count, nn.Linear(dim, count * dim)

    def forward(self, cond_BtD: Tensor) -> tuple[Tensor, ...]:
        return self.out(F.silu(cond_BtD)).chunk(self.count, -1)


class SharedModulation(nn.Module):
    """One map for all layers (tie it), and a learnt table of this layer's own added (VAR's `shared_aln`)."""

    def __init__(self, dim: int, *, of: Part[Modulation], count: int = 6, place: Place | None = None) -> None:
        super().__init__()
        self.map = of.build(Place.here(place, dim))
        self.table = nn.Parameter(torch.randn(count, dim) / dim**0.5)

    def forward(self, cond_BtD: Tensor) -> tuple[Tensor, ...]:
        return tuple(m + own for m, own in zip(self.map(cond_BtD), self.table, strict=True))


class AdaNorm(Recurrent):
    """norm(x) · (1 + scale(c)) + shift(c), c = `ctx.cond`, token by token: what stands before a conditioned model's head.

    The modulation gives shift, then scale. A mixer and not a `Norm`, since norms do not declare that they need a condition.
    """

    conditioned = True
    cost = 1.0

    def __init__(self, dim: int, *, norm: Part[Norm] = BARE) -> None:
        super().__init__()
        self.norm = norm.build(Place(dim))
        self.modulation = Modulation(dim, count=2)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        shift, scale = self.modulation(condition(ctx))
        return self.norm(x_BTD, ctx) * (1 + scale) + shift

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> Stateless:
        return Stateless()

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        return self(x_BtD, ctx), state


class AdaLN(Branched):
    """x ← x + gate(c) · part(norm(x) · (1 + scale(c)) + shift(c)) for each of `parts`; c = `ctx.cond`.

    The modulation gives shift, scale and gate of the first part, then of the next.
    """

    tiny = {"parts": (part(CausalAttention, heads=2), part(MLP))}

    def __init__(
        self,
        dim: int,
        *,
        parts: tuple[Part[Mixer], ...],
        norm: Part[Norm] = BARE,
        modulation: Part[Modulation | SharedModulation] = part(Modulation, count=6),
        place: Place | None = None,
    ) -> None:
        super().__init__(dim, parts=parts, norm=norm, place=place)
        if modulation.get("count", 6) != 3 * len(parts):
            raise ValueError(
                f"{modulation} gives {modulation.get('count', 6)} vectors; {len(parts)} parts want {3 * len(parts)}"
            )
        self.modulation = modulation.build(Place.here(place, dim))
        self.conditioned = True

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        given = self.modulation(condition(ctx))
        for i, (norm, mixer) in enumerate(zip(self.norms, self.parts, strict=True)):
            shift, scale, gate = given[3 * i : 3 * i + 3]
            x_BTD = x_BTD + gate * mixer(norm(x_BTD, ctx) * (1 + scale) + shift, ctx)
        return x_BTD

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, States)
        given = self.modulation(condition(ctx))
        after: list[State] = []
        for i, (norm, mixer, old) in enumerate(zip(self.norms, self.mixers(), state.each, strict=True)):
            shift, scale, gate = given[3 * i : 3 * i + 3]
            y, new = advance(mixer, norm(x_BtD, ctx) * (1 + scale) + shift, old, ctx)
            x_BtD = x_BtD + gate * y
            after.append(new)
        return x_BtD, States(tuple(after))
