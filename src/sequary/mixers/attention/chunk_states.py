"""Attention to states that stand for chunks of tokens (Akhauri et al., Attamba: Attending To Multi-Token States, arXiv 2411.17685)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from sequary.blocks.residual import start
from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.state import State
from sequary.mixers.attention.projection import check_heads, join, split
from sequary.mixers.attention.single_head import Read
from sequary.mixers.ssm.mamba import Mamba
from sequary.ops.attend import attend
from sequary.ops.rotary import rotate


@dataclasses.dataclass(frozen=True, slots=True)
class ChunkStates(State):
    """Of the scans that make keys and values, and what of them may still be read."""

    keys: State
    values: State
    read: Read


class ChunkStateAttention(Recurrent):
    """k = keys(x), v = values(x), two recurrences in place of projections;  o_t = Σ_s softmax_s(q_t·k_s / √K) v_s over those s <= t that
    end a chunk of `chunk` tokens, or are among the last `window`.

    The state at a chunk's end has heard all its tokens: one key and one value a chunk are kept. Layer l ends its chunks l tokens
    earlier, so that no token is last in every layer. chunk = 1 is full attention. `base`: of rotary positions.
    """

    tiny = {"heads": 2, "chunk": 3, "window": 2}
    exempt = {
        "hard": "k_t = W((C_t·h_t + D u_t) ⊙ SiLU(z_t)), h_t = … + dt_t B_t u_t, is of degree 5 in x: 1000¹⁰ in a gradient"
    }
    grows = True

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        chunk: int = 4,
        window: int = 4,
        keys: Part[Recurrent] = part(Mamba, expand=1),
        values: Part[Recurrent] = part(Mamba, expand=1),
        base: float = 10_000.0,
        layer: int = 0,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        if chunk < 1 or window < 1:
            raise ValueError(f"chunk={chunk}, window={window}: a token reads itself at least; use 1 or more")
        check_heads(dim, heads)
        here = Place.here(place, dim)
        self.heads, self.chunk, self.window, self.base, self.shift = heads, chunk, window, base, layer
        self.q, self.o = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.keys, self.values = keys.build(here), values.build(here)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = x_BTD.shape
        at = ctx.position_ids(batch, length, x_BTD.device)
        sees = dataclasses.replace(ctx, order=None).sees(batch, length, x_BTD.device, causal=True)
        if sees is None:
            sees = torch.ones(length, length, dtype=torch.bool, device=x_BTD.device).tril()
        q, k = self._turned(self.q(x_BTD), at), self._turned(self.keys(x_BTD, ctx), at)
        v = split(self.values(x_BTD, ctx), self.heads)
        return self.o(join(attend(q, k, v, sees=(sees & self._kept(at, at))[:, None])))

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> ChunkStates:
        like = self.o.weight
        none, one = like.new_zeros(batch, 0), like.new_zeros(batch, dtype=torch.long)
        wide = like.new_zeros(batch, 0, like.shape[1])
        read = Read(wide, wide, none.long(), none.long(), none.bool(), one, one - 1)
        return ChunkStates(start(self.keys, batch, ctx), start(self.values, batch, ctx), read)

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, ChunkStates]:
        assert isinstance(state, ChunkStates)
        k, keys = self.keys.step(x_BtD, state.keys, ctx)
        v, values = self.values.step(x_BtD, state.values, ctx)
        read, old, new = state.read.extend(k, v, ctx), state.read.k.shape[1], x_BtD.shape[1]
        at, segment = read.at[:, old:], read.segment[:, old:]
        read = dataclasses.replace(read, k=torch.cat((state.read.k, join(self._turned(k, at))), 1))
        past = torch.ones(old + new, old + new, dtype=torch.bool, device=at.device).tril()[old:]
        sees = past & read.real[:, None] & (segment[..., None] == read.segment[:, None]) & self._kept(at, read.at)
        k, v = split(read.k, self.heads), split(read.v, self.heads)
        o = self.o(join(attend(self._turned(self.q(x_BtD), at), k, v, sees=sees[:, None])))
        return o, ChunkStates(keys, values, self._pruned(read))

    def _turned(self, x_BTD: Tensor, at_BT: Tensor) -> Tensor:
        return rotate(split(x_BTD, self.heads), at_BT, base=self.base)

    def _ends(self, at_BS: Tensor) -> Tensor:
        return (at_BS + self.shift) % self.chunk == self.chunk - 1

    def _kept(self, at_BT: Tensor, at_BS: Tensor) -> Tensor:
        """[B, T, S]: ends of chunks, and what is near."""
        return self._ends(at_BS)[:, None, :] | (at_BT[:, :, None] - at_BS[:, None, :] < self.window)

    def _pruned(self, read: Read) -> Read:
        """Without what no later token will read, in any of the rows."""
        wanted = read.real & (read.segment == read.latest[:, None])
        wanted = wanted & (self._ends(read.at) | (read.next[:, None] - read.at < self.window))
        return dataclasses.replace(read, real=wanted).newest(int(wanted.sum(1).max()))
