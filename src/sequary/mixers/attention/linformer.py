"""Linformer: keys and values are mapped along the sequence from n to k positions (Wang et al., arXiv 2006.04768, eq. 7)."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.pools import LearnedPool, Pool
from sequary.mixers.attention.projection import check_heads, join, split
from sequary.ops.attend import attend


class PooledKeys(nn.Module):
    """softmax(q (Eᵀ k)ᵀ / √K) (Fᵀ v), E and F [n, k]. `values` None: F = E (key-value sharing).

    `kv_heads`: heads of keys and values, each read by H / kv_heads query heads. `own_values` False: the values are the keys.
    """

    def __init__(
        self,
        dim: int,
        *,
        source_dim: int,
        length: int,
        heads: int,
        keys: Part[Pool],
        values: Part[Pool] | None,
        key_width: int | None,
        kv_heads: int,
        own_values: bool,
        place: Place,
    ) -> None:
        super().__init__()
        width = check_heads(dim, heads) if key_width is None else key_width
        if heads % kv_heads:
            raise ValueError(f"kv_heads={kv_heads} does not divide heads={heads}")
        self.length, self.heads, self.kv_heads = length, heads, kv_heads
        self.q = nn.Linear(dim, heads * width, bias=False)
        self.k = nn.Linear(source_dim, kv_heads * width, bias=False)
        self.v = nn.Linear(source_dim, kv_heads * width, bias=False) if own_values else None
        self.keys = keys.build(place.at(dim=width))
        self.values = None if values is None else values.build(place.at(dim=width))
        self.o = nn.Linear(heads * width, dim)

    def forward(self, x_BTD: Tensor, source_BSD: Tensor, at: Ctx) -> Tensor:
        """`at`: mask and positions of the source; a position chooses the row of E, so that padding shifts nothing."""
        k = split(self.k(source_BSD), self.kv_heads)
        v = k if self.v is None else split(self.v(source_BSD), self.kv_heads)
        keys = self._pooled(k, self.keys, at)
        values = self._pooled(v, self.keys if self.values is None else self.values, at)
        return self.o(join(attend(split(self.q(x_BTD), self.heads), keys, values)))

    def _pooled(self, x_BHSK: Tensor, pool: Pool, at: Ctx) -> Tensor:
        """[B, H, k, K]."""
        batch, _, length, _ = x_BHSK.shape
        e_HSk = pool.matrix(x_BHSK)
        if length > self.length:
            raise ValueError(
                f"{length} positions, but this Linformer is built for length={self.length}; cut or rebuild"
            )
        if at.mask is None and at.positions is None:
            e_BHSk = e_HSk[None, :, :length]
        else:
            e_BHSk = e_HSk[:, at.position_ids(batch, length, x_BHSK.device)].transpose(0, 1)
            if at.mask is not None:
                e_BHSk = e_BHSk * at.mask[:, None, :, None]
        pooled = e_BHSk.transpose(-1, -2) @ x_BHSK
        return pooled.repeat_interleave(self.heads // pooled.shape[1], 1)


class LinformerAttention(Mixer):
    """o = softmax(q (Eᵀ k)ᵀ / √K) (Fᵀ v): every token reads k mixtures of the at most `length` tokens, at cost n·k.

    `keys` and `values` are the parts that make E and F; `values` None shares one for both, `Tied` parts share over layers.
    Bidirectional; no segments, no order: E mixes all tokens. Padding, which counts towards `length`, is zeros to E, and real
    tokens choose their row of it by position.
    """

    tiny = {"length": 7, "heads": 2, "keys": part(LearnedPool, length=7, size=3)}
    packs = False
    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        length: int,
        heads: int = 4,
        keys: Part[Pool],
        values: Part[Pool] | None = None,
        key_width: int | None = None,
        kv_heads: int | None = None,
        own_values: bool = True,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        self.length = length
        self.inner = PooledKeys(
            dim, source_dim=dim, length=length, heads=heads, keys=keys, values=values, key_width=key_width,
            kv_heads=kv_heads or heads, own_values=own_values, place=Place.here(place, dim),
        )  # fmt: skip

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.inner(x_BTD, x_BTD, ctx)


class LinformerCrossAttention(Mixer):
    """As `LinformerAttention`, with keys and values from `ctx.memory` [B, S <= length, memory_dim]."""

    tiny = {"length": 7, "heads": 2, "keys": part(LearnedPool, length=7, size=3)}
    remembers = True
    causal = True
    cost = 1.0

    def __init__(
        self,
        dim: int,
        *,
        length: int,
        heads: int = 4,
        keys: Part[Pool],
        values: Part[Pool] | None = None,
        key_width: int | None = None,
        kv_heads: int | None = None,
        own_values: bool = True,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        source = dim if here.memory_dim is None else here.memory_dim
        self.inner = PooledKeys(
            dim, source_dim=source, length=length, heads=heads, keys=keys, values=values, key_width=key_width,
            kv_heads=kv_heads or heads, own_values=own_values, place=here,
        )  # fmt: skip

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        if ctx.memory is None:
            raise ValueError("LinformerCrossAttention needs ctx.memory (tokens [B, S, memory_dim]); none was given")
        return self.inner(x_BTD, ctx.memory.tokens, Ctx(mask=ctx.memory.mask))
