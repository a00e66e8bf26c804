"""What the blocks of this folder have in common: parts on branches of their own, taken in turn, and one state for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from sequary.blocks.norms import Norm
from sequary.core.contracts import Mixer, Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part
from sequary.core.place import Place
from sequary.core.state import State, States

Apply = Callable[[Tensor], Tensor]


class Branched(Recurrent):
    """An interface: `parts` in turn, each with a norm of its own where there is one. A block says how a branch meets the stream,
    in `around`; one whose branches share more than that writes `forward` and `step` itself."""

    def __init__(
        self, dim: int, *, parts: tuple[Part[Mixer], ...], norm: Part[Norm] | None, place: Place | None
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.parts = nn.ModuleList(p.build(here) for p in parts)
        self.norms = nn.ModuleList() if norm is None else nn.ModuleList(norm.build(here) for _ in parts)
        inherit(self, self.mixers())

    def mixers(self) -> list[Mixer]:
        return [p for p in self.parts if isinstance(p, Mixer)]

    def around(self, branch: int, x_BTD: Tensor, apply: Apply, ctx: Ctx) -> Tensor:
        """The stream after branch number `branch`, whose part is `apply`."""
        raise NotImplementedError

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        for branch, mixer in enumerate(self.mixers()):
            x_BTD = self.around(branch, x_BTD, lambda y, part=mixer: part(y, ctx), ctx)
        return x_BTD

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> States:
        return States(tuple(start(p, batch, ctx) for p in self.mixers()))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, States)
        after: list[State] = []

        def advanced(y_BtD: Tensor) -> Tensor:
            branch = len(after)
            z_BtD, new = advance(self.mixers()[branch], y_BtD, state.each[branch], ctx)
            after.append(new)
            return z_BtD

        for branch in range(len(state.each)):
            x_BtD = self.around(branch, x_BtD, advanced, ctx)
        return x_BtD, States(tuple(after))


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
