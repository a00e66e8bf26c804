"""A language model of several scales: each stage predicts inside the patches of the one above (MEGABYTE, arXiv 2305.07185).

A model of its own, because each stage embeds the same symbols by a table of its own, at a width of its own: no one sequence of
vectors could pass from a tokens part to a backbone.
"""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.backbones.stack import BLOCK, Stack
from sequary.blocks.handover import Before, Meets, SharedSlices, Slices
from sequary.core.contracts import Backbone, Head, Model
from sequary.core.ctx import Ctx, Tape
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.core.values import Batch, Output
from sequary.heads.categorical import Categorical
from sequary.tokens.byte_patches import BytePatches, ConcatenatedBytes
from sequary.tokens.symbols import Embedding


@dataclasses.dataclass(frozen=True, slots=True)
class MegabyteState(State):
    """The coarsest stage after all whole patches; the finer ones start anew in each patch, so its symbols are their state."""

    top: State
    above: Tensor
    """[B, D]: what the coarsest stage says to the open patch."""
    open: Tensor
    """[B, P] symbols of the open patch, then zeros."""
    seen: Tensor
    """[B] symbols so far; seen mod P is the phase."""


class Megabyte(Model):
    """[B, T] symbols -> hidden [B, T, dim], whose head reads at t the symbol t + 1.

    Stage 0 runs over patches of P_0 symbols behind a start vector; stage i inside each patch of stage i − 1, over its patches of
    P_i symbols (1 in the last stage), told by a slice of what stage i − 1 says without having seen the patch. Patches are counted
    from the first real symbol of a row, so padding shifts nothing. `widths`: of all stages but the last, which has `dim`;
    `coarse`, `slices`: one for each width; `stages`: one more. Rows cannot be packed.
    """

    tiny = {
        "widths": (16,),
        "coarse": (part(ConcatenatedBytes, vocab=11, size=4),),
        "slices": (part(SharedSlices),),
        "fine": part(Embedding, vocab=11),
        "stages": (part(Stack, depth=1, blocks=(BLOCK,)), part(Stack, depth=1, blocks=(BLOCK,))),
        "head": part(Categorical, vocab=11),
    }
    toy = {"batch": lambda rows, rng: Batch(values=torch.randint(11, (rows, 11), generator=rng))}

    def __init__(
        self,
        dim: int,
        *,
        widths: tuple[int, ...],
        coarse: tuple[Part[BytePatches], ...],
        slices: tuple[Part[Slices], ...],
        fine: Part[Embedding],
        stages: tuple[Part[Backbone], ...],
        head: Part[Head],
        meets: Meets = Before(),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        if not len(widths) == len(coarse) == len(slices) == len(stages) - 1 > 0:
            given = f"{len(widths)} widths, {len(coarse)} coarse, {len(slices)} slices, {len(stages)} stages"
            raise ValueError(f"{given}: give one of each for every stage but the last, and two stages at least")
        here = Place.here(place, dim)
        places = [here.at(dim=d) for d in (*widths, dim)]
        self.coarse = nn.ModuleList(c.build(p) for c, p in zip(coarse, places[:-1], strict=True))
        self.sizes = (*(int(c.get("size")) for c in coarse), 1)
        self.slices = nn.ModuleList(
            s.but(count=self._parts(i), width=after.dim).build(p)
            for i, (s, p, after) in enumerate(zip(slices, places[:-1], places[1:], strict=True))
        )
        self.fine = fine.build(here)
        self.stages = nn.ModuleList(s.build(p) for s, p in zip(stages, places, strict=True))
        if not all(isinstance(s, Backbone) and s.causal for s in self.stages):
            raise ValueError(f"a language model needs causal stages; one of these is not: {stages}")
        self.starts = nn.ParameterList(0.02 * torch.randn(p.dim) for p in places)
        self.meets = meets
        self.heads = nn.ModuleDict({"main": head.build(here)})

    def _parts(self, stage: int) -> int:
        """How many patches of the stage below one patch of this stage holds."""
        large, small = self.sizes[stage : stage + 2]
        if large % small:
            raise ValueError(f"patch sizes {self.sizes[:-1]}: each must be a multiple of the next")
        return large // small

    @property
    def top(self) -> Backbone:
        """The coarsest stage."""
        stage = self.stages[0]
        assert isinstance(stage, Backbone)
        return stage

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        if batch.segments is not None or batch.order is not None:
            raise ValueError("Megabyte counts its patches from the start of a row: give no segments and no order")
        mask, (rows, length) = batch.token_mask, batch.values.shape
        at = Ctx(mask=mask).position_ids(rows, length, batch.values.device)
        units = length // self.sizes[0] + 1
        ids = self._patches(batch.values, mask, at, batch.values.new_zeros(rows, self.sizes[0]), units)
        inner = Ctx(tape=tape, rng=rng)
        # Without a mask: real symbols stand at the left, and no stage looks to the right.
        above = self.top(torch.cat((self._start(rows), self._embedded(ids[:, :-1])), 1), inner)[0].x
        return Output(_rows_at(self.meets.leave(self._inside(above, ids, inner)), at))

    def opening(self, rows: int) -> Tensor:
        """[rows, dim]: the hidden from which the first symbol of all is predicted."""
        ids = torch.zeros(rows, 1, self.sizes[0], dtype=torch.long, device=self.starts[0].device)
        above = self.top(self._start(rows))[0].x
        return self._inside(above, ids, Ctx())[:, 0, 0]

    def init_state(self, batch: Batch) -> MegabyteState:
        rows, like = batch.values.shape[0], batch.values
        above, top = self.top.step(self._start(rows), self.top.init_state(rows))
        return MegabyteState(top, above[:, 0], like.new_zeros(rows, self.sizes[0]), like.new_zeros(rows))

    def step(self, values: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Output, State]:
        assert isinstance(state, MegabyteState)
        rows, length = values.shape
        size, phase = self.sizes[0], state.seen % self.sizes[0]
        at = phase[:, None] + Ctx(mask=ctx.mask).position_ids(rows, length, values.device)
        count = length if ctx.mask is None else ctx.mask.sum(1)
        done = (phase + count) // size
        units = int(done.max()) + 1
        ids, inner = self._patches(values, ctx.mask, at, state.open, units), Ctx(tape=ctx.tape, rng=ctx.rng)
        above, top = state.above[:, None], state.top
        if units > 1:
            numbers = torch.arange(units - 1, device=values.device)
            whole = dataclasses.replace(inner, mask=numbers < done[:, None])
            new, top = self.top.step(self._embedded(ids[:, :-1], state.seen // size), top, whole)
            above = torch.cat((above, new), 1)
        hidden = _rows_at(self.meets.leave(self._inside(above, ids, inner)), at)
        row = torch.arange(rows, device=values.device)
        return Output(hidden), MegabyteState(top, above[row, done], ids[row, done], state.seen + count)

    def _start(self, rows: int) -> Tensor:
        return self.starts[0].expand(rows, 1, -1)

    def _embedded(self, ids_BNP: Tensor, first_B: Tensor | None = None) -> Tensor:
        """[B, N, D] of whole patches of stage 0, numbered from `first`."""
        numbers = torch.arange(ids_BNP.shape[1], device=ids_BNP.device).expand(len(ids_BNP), -1)
        return self.coarse[0](ids_BNP, numbers if first_B is None else numbers + first_B[:, None])

    def _patches(self, ids_BT: Tensor, mask: Tensor | None, at: Tensor, open_BP: Tensor, units: int) -> Tensor:
        """[B, units, P]: the open patch, filled up with the real symbols and followed by them."""
        width = units * self.sizes[0]
        index = at if mask is None else torch.where(mask, at, width)
        room = F.pad(open_BP, (0, width + 1 - self.sizes[0]))
        return room.scatter(1, index, ids_BT)[:, :width].unflatten(1, (units, -1))

    def _inside(self, above_BND: Tensor, ids_BNP: Tensor, ctx: Ctx) -> Tensor:
        """[B, N', P' or P' + 1, dim]: the last stage in all its patches, each in parallel with the others."""
        x, ids = above_BND.flatten(0, 1), ids_BNP.flatten(0, 1)
        for i in range(1, len(self.sizes)):
            parts = ids.unflatten(1, (self._parts(i - 1), self.sizes[i]))
            numbers = torch.arange(parts.shape[1], device=ids.device).expand(parts.shape[:2])
            last = i == len(self.sizes) - 1
            own = self.fine(ids, numbers) if last else self.coarse[i](parts, numbers)
            out = self.stages[i](self.meets.enter(self.starts[i], own, self.slices[i - 1](x)), ctx)[0].x
            if last:
                return out.unflatten(0, (len(ids_BNP), -1))
            x, ids = out[:, : parts.shape[1]].flatten(0, 1), parts.flatten(0, 1)
        raise AssertionError("two stages at least")


def _rows_at(x_BND: Tensor, at_BT: Tensor) -> Tensor:
    """[B, T, D]: the vectors at these places, padding at any."""
    index = at_BT.clamp(max=x_BND.shape[1] - 1)
    return x_BND.gather(1, index[..., None].expand(-1, -1, x_BND.shape[-1]))
