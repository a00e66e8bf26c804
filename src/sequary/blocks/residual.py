"""One residual branch, and what a chain of branches has in common: shared by the blocks of this folder."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from sequary.core.contracts import Mixer, Recurrent
from sequary.core.ctx import Ctx
from sequary.core.state import State


def inherit(block: Recurrent, parts: Sequence[Mixer]) -> None:
    """Set on `block` what its parts declare: it can do what all of them can, and needs what any of them needs."""
    block.causal = all(p.causal for p in parts)
    block.recurrent = all(p.recurrent for p in parts)
    block.rowwise, block.smooth = all(p.rowwise for p in parts), all(p.smooth for p in parts)
    block.pads, block.packs = all(p.pads for p in parts), all(p.packs for p in parts)
    block.orders = any(p.orders for p in parts)
    block.dims = max((p.dims for p in parts), key=len, default=())
    block.length = next((p.length for p in parts if p.length is not None), None)
    block.remembers = any(p.remembers for p in parts)
    block.conditioned = any(p.conditioned for p in parts)
    block.cost = max((p.cost for p in parts), default=1.0)
    block.grows = any(isinstance(p, Recurrent) and p.grows for p in parts)


def start(part: Mixer, batch: int, ctx: Ctx) -> State:
    """The first state of a part that may be any mixer; one without a recurrent form is an error that names it."""
    if not isinstance(part, Recurrent) or not part.recurrent:
        raise NotImplementedError(f"{type(part).__name__} has no recurrent form, so neither has what holds it")
    return part.init_state(batch, ctx)


def advance(part: Mixer, x_BtD: Tensor, state: State, ctx: Ctx) -> tuple[Tensor, State]:
    assert isinstance(part, Recurrent)
    return part.step(x_BtD, state, ctx)
