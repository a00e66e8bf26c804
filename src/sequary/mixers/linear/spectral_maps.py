"""Random features with frequencies of any spectrum (Chowdhury et al., On Learning the Transformer Kernel, arXiv 2110.08323, section 3)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.linear.feature_maps import FeatureMap
from sequary.mixers.linear.spectra import DiagonalGaussians, Gaussians, Spectrum


class Fourier(FeatureMap):
    """φ(x) = [cos ωᵀx, sin ωᵀx, …, `constant`] / √M, so that φ(q)·φ(k) estimates the kernel κ(q − k) of the spectrum.

    x is scaled by √`temperature`, 1/√K unless given. The estimate may be negative, and so may a sum of weights; `constant` > 0 adds its
    square to every weight. `scale`: in place of 1/√M, M the frequencies of one group.
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 1,
        spectrum: Part[Spectrum] = part(Gaussians),
        samples: int = 8,
        temperature: float | None = None,
        constant: float = 1.5,
        scale: float | None = None,
    ) -> None:
        super().__init__(dim, heads=heads)
        self.spectrum = spectrum.but(heads=spectrum.get("heads", heads), samples=samples).build(Place(dim))
        self.temperature = dim**-0.5 if temperature is None else temperature
        self.constant, self.scale = constant, samples**-0.5 if scale is None else scale
        self.width = 2 * samples * self.spectrum.groups + (constant > 0)

    def queries(self, q_BTHK: Tensor) -> Tensor:
        waves: list[Tensor] = []
        for omega_HKM in self.spectrum():
            u = torch.einsum("bthk,hkm->bthm", q_BTHK * math.sqrt(self.temperature), spread(omega_HKM, q_BTHK))
            waves += [u.cos(), u.sin()]
        phi = torch.cat(waves, -1) * self.scale
        return F.pad(phi, (0, 1), value=self.constant) if self.constant > 0 else phi


class Positive(FeatureMap):
    """φ(x) = exp(ωᵀx − `offset` |x|²) / √M: positive, so that no sum of weights is zero.

    With ω ~ N(0, I) the product estimates exp(q·k) where `offset` is 1/2, and exp(−|q − k|² / 2) where it is 1. `mirrored`: −ω too.
    x is scaled by √`temperature`, 1/√K unless given. `scale`: in place of 1/√M, M the features.
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 1,
        spectrum: Part[Spectrum] = part(DiagonalGaussians),
        samples: int = 8,
        temperature: float | None = None,
        offset: float = 1.0,
        mirrored: bool = False,
        scale: float | None = None,
    ) -> None:
        super().__init__(dim, heads=heads)
        self.spectrum = spectrum.but(heads=spectrum.get("heads", heads), samples=samples).build(Place(dim))
        self.temperature = dim**-0.5 if temperature is None else temperature
        self.width = samples * self.spectrum.groups * (2 if mirrored else 1)
        self.offset, self.mirrored = offset, mirrored
        self.scale = self.width**-0.5 if scale is None else scale

    def queries(self, q_BTHK: Tensor) -> Tensor:
        x = q_BTHK * math.sqrt(self.temperature)
        u = torch.cat([torch.einsum("bthk,hkm->bthm", x, spread(omega, x)) for omega in self.spectrum()], -1)
        u = torch.cat((u, -u), -1) if self.mirrored else u
        return (u - self.offset * x.square().sum(-1, keepdim=True)).exp() * self.scale


def spread(omega_HKM: Tensor, x_BTHK: Tensor) -> Tensor:
    """Frequencies that all heads share, for each head."""
    return omega_HKM.to(x_BTHK.dtype).expand(x_BTHK.shape[2], -1, -1)


class UnitLength(FeatureMap):
    """φ(`radius` x / |x|): on a sphere random features vary within bounds, however long x is (Luo et al., arXiv 2106.12566)."""

    def __init__(self, dim: int, *, heads: int = 1, of: Part[FeatureMap], radius: float = 1.0) -> None:
        super().__init__(dim, heads=heads)
        self.of, self.radius = of.but(heads=heads).build(Place(dim)), radius
        self.width = self.of.width

    def queries(self, q_BTHK: Tensor) -> Tensor:
        return self.of.queries(F.normalize(q_BTHK, dim=-1) * self.radius)

    def keys(self, k_BTHK: Tensor) -> Tensor:
        return self.of.keys(F.normalize(k_BTHK, dim=-1) * self.radius)
