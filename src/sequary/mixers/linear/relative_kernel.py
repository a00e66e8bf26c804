"""Kernel attention with a relative position bias: Luo et al., Stable, Fast and Accurate (arXiv 2106.12566), section 3."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.state import State
from sequary.mixers.linear.feature_maps import FeatureMap
from sequary.mixers.linear.kernel import Featured
from sequary.mixers.linear.spectra import Normal
from sequary.mixers.linear.spectral_maps import Positive, UnitLength
from sequary.mixers.places import Places
from sequary.ops.kernel_attend import mean
from sequary.ops.relative_kernel import placed_sums, relative_sums

RANDOM: Part[FeatureMap] = part(
    UnitLength, of=part(Positive, spectrum=part(Normal), samples=16, temperature=1.0, offset=0.5)
)
"""Positive random features of the softmax kernel, queries and keys on the unit sphere."""


class Relative(Featured):
    """An interface: a learnt bias b of each head for each distance s − t of at most `reach`; farther ones have that of `reach`.

    O(T log T); with padding, packed rows, an order or given positions, T², since distances are counted over real tokens.
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        key: int | None = None,
        feature: Part[FeatureMap] = RANDOM,
        reach: int = 64,
        bias: bool = False,
        eps: float = 1e-6,
    ) -> None:
        super().__init__(dim, heads=heads, key=key, feature=feature, bias=bias, eps=eps)
        self.reach = reach
        self.relative = nn.Parameter(torch.zeros(heads, reach + 1 if self.causal else 2 * reach + 1))

    def weights(self, distance: Tensor) -> Tensor:
        """[H, …]: exp(b) at distances s − t […]; later than t they are not read by causal attention."""
        last = 0 if self.causal else self.reach
        return self.relative[:, distance.clamp(-self.reach, last) + self.reach].exp()

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        q, k, v = self.features(x_BTD, ctx)
        batch, length, _ = x_BTD.shape
        if ctx.mask is None and ctx.segments is None and ctx.positions is None and (self.causal or ctx.order is None):
            w_HL = self.weights(torch.arange(1 - length, length, device=x_BTD.device))
            return self.o(mean(relative_sums(q, k, v, w_HL, causal=self.causal), self.eps).flatten(2))
        place = ctx.position_ids(batch, length, x_BTD.device)
        w_BHTS = self.weights(place[:, None, :] - place[:, :, None]).transpose(0, 1)
        order = None if self.causal else ctx.order
        sees = dataclasses.replace(ctx, order=order).sees(batch, length, x_BTD.device, causal=self.causal)
        if sees is None and self.causal:
            sees = torch.ones(1, length, length, dtype=torch.bool, device=x_BTD.device).tril()
        w_BHTS = w_BHTS if sees is None else w_BHTS * sees[:, None]
        return self.o(mean(placed_sums(q, k, v, w_BHTS), self.eps).flatten(2))


class RelativeKernelAttention(Relative):
    """o_t = Σ_s e^{b(s−t)} (φ(q_t)·φ(k_s)) v_s / Σ_s e^{b(s−t)} φ(q_t)·φ(k_s) over all real tokens."""

    tiny = {"heads": 2, "reach": 4}
    orders = True


@dataclasses.dataclass(frozen=True, slots=True)
class RelativeState(State):
    """φ(k) [B, S, H, F] and values [B, S, H, V + 1] of every step, their places and segments [B, S] (place -1: padding)."""

    k: Tensor
    v: Tensor
    place: Tensor
    segment: Tensor
    places: Places


class CausalRelativeKernelAttention(Relative, Recurrent):
    """The same over s <= t. b is of any shape, so that no state of fixed size holds the past: steps keep features and values."""

    tiny = {"heads": 2, "reach": 4}
    grows = True

    def init_state(self, batch: int, ctx: Ctx = Ctx()) -> RelativeState:
        like = self.o.weight
        k, v = (like.new_zeros(batch, 0, self.heads, n) for n in (self.feature.width, self.value + 1))
        none = like.new_zeros(batch, 0, dtype=torch.long)
        return RelativeState(k, v, none, none, Places.none(batch, like))

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, RelativeState)
        q, k, v = self.features(x_BtD, ctx)
        new = x_BtD.shape[1]
        real_Bt, segment_Bt, place_Bt, places = state.places.count(ctx, new)
        added = k, v, torch.where(real_Bt, place_Bt, -1), segment_Bt
        k, v, place, segment = (
            torch.cat(pair, 1) for pair in zip((state.k, state.v, state.place, state.segment), added, strict=True)
        )
        past = torch.ones(new, place.shape[1], dtype=torch.bool, device=k.device).tril(place.shape[1] - new)
        sees = past & (place >= 0)[:, None] & (segment[:, None] == segment_Bt[..., None])
        w_BHTS = self.weights(place[:, None, :] - place_Bt[..., None]).transpose(0, 1) * sees[:, None]
        o = self.o(mean(placed_sums(q, k, v, w_BHTS), self.eps).flatten(2))
        return o, RelativeState(k, v, place, segment, places)
