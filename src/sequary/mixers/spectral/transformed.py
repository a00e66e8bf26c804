"""Mixing coefficients instead of tokens (Zhuang et al., WavSpA: Wavelet Space Attention, arXiv 2210.01989)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.full import Attention
from sequary.mixers.spectral.transforms import FreeFilters, Transform


class TransformedMixer(Mixer):
    """y = W⁻¹(f_1(z_1), f_2(z_2), …), z_1, z_2, … = W x: `transform` W along the sequence, and a `mixer` f_j of its own for each band.

    Left padding is moved to the end first, where it is zeros; the mixers see a band's coefficients of real tokens only.
    """

    packs = False
    exempt = {
        "export": "a band has (T + L − 1) // 2 = c + (T + 1) // 2 coefficients: that D (c + n) divides by K (c + n) for every n, torch "
        "cannot prove, and takes T of one remainder only"
    }

    def __init__(
        self,
        dim: int,
        *,
        transform: Part[Transform] = part(FreeFilters),
        mixer: Part[Mixer] = part(Attention, bias=False),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.transform = transform.build(here)
        self.mixers = nn.ModuleList(mixer.build(here) for _ in range(self.transform.bands))
        inner = [m for m in self.mixers if isinstance(m, Mixer)]
        self.cost, self.smooth = inner[0].cost, inner[0].smooth
        self.pads = self.transform.pads and inner[0].pads

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        length, mask_BT = x_BTD.shape[1], ctx.mask
        if mask_BT is None:
            mixed = [self._mixed(j, z, None, ctx) for j, z in enumerate(self.transform.split(x_BTD))]
            return self.transform.merge(mixed, length)
        first_BT = (~mask_BT).long().argsort(dim=1, stable=True)
        x_BTD = (x_BTD * mask_BT[..., None]).gather(1, first_BT[..., None].expand_as(x_BTD))
        length_B = mask_BT.sum(1)
        bands = zip(self.transform.split(x_BTD), self.transform.counts(length_B), strict=True)
        mixed = [self._mixed(j, z, n, ctx) for j, (z, n) in enumerate(bands)]
        y_BTD = self.transform.merge(mixed, length, length_B)
        return y_BTD.gather(1, first_BT.argsort(1)[..., None].expand_as(y_BTD))

    def _mixed(self, band: int, z_BKD: Tensor, count_B: Tensor | None, ctx: Ctx) -> Tensor:
        mixer = self.mixers[band]
        if count_B is None:
            return mixer(z_BKD, Ctx(tape=ctx.tape, rng=ctx.rng))
        real_BK = torch.arange(z_BKD.shape[1], device=z_BKD.device) < count_B[:, None]
        return mixer(z_BKD, Ctx(mask=real_BK, tape=ctx.tape, rng=ctx.rng)) * real_BK[..., None]
