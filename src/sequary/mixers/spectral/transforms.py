"""Invertible transforms along the sequence: wavelets, by filters or by lifting steps, and Fourier's.

Zhuang et al., WavSpA: Wavelet Space Attention (arXiv 2210.01989). Zeros lie beyond the ends of a sequence, so that a row filled up
with zeros has the coefficients that it has alone, and zeros behind them.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.ops.wavelets import analyse, daubechies, mirror, synthesise, turned

fft: Any = torch.fft  # whose stubs name no types


class Transform(nn.Module):
    """[B, T, D] to coefficients and back: `split`, then `merge`, is the identity for every length."""

    bands: int
    """How many sequences of coefficients it makes, the coarsest first."""
    pads = True
    """Rows filled up with zeros keep their coefficients."""

    def split(self, x_BTD: Tensor) -> list[Tensor]:
        """[B, K_j, D] each."""
        raise NotImplementedError

    def merge(self, bands: list[Tensor], length: int, length_B: Tensor | None = None) -> Tensor:
        """[B, `length`, D]; `length_B` [B] where rows end earlier, and what comes back behind their ends is of no account."""
        raise NotImplementedError

    def counts(self, length_B: Tensor) -> list[Tensor]:
        """How many coefficients a row of this length has in each band [B]."""
        raise NotImplementedError


class Wavelets(Transform):
    """a_0 = x; a_j, d_j from a_{j−1}, each about half as long; the bands are a_J, d_J, …, d_1, J = `levels`."""

    def __init__(self, dim: int, *, levels: int = 2) -> None:
        super().__init__()
        if levels < 1:
            raise ValueError(f"levels={levels}: use 1 or more")
        self.bands = levels + 1

    def split(self, x_BTD: Tensor) -> list[Tensor]:
        details: list[Tensor] = []
        for _ in range(self.bands - 1):
            x_BTD, detail = self.down(x_BTD)
            details.append(detail)
        return [x_BTD, *reversed(details)]

    def merge(self, bands: list[Tensor], length: int, length_B: Tensor | None = None) -> Tensor:
        x_BTD, *details = bands
        lengths = [*(d.shape[1] for d in details[1:]), length]  # of a_{j−1}: that of the next details
        ends = [None] * len(details) if length_B is None else [*self.counts(length_B)[2:], length_B]
        for detail, wanted, end_B in zip(details, lengths, ends, strict=True):
            x_BTD = self.up(x_BTD, detail, wanted)
            if end_B is not None:  # the next step reads ahead, where zeros must be
                inside_BT = torch.arange(wanted, device=x_BTD.device) < end_B[:, None]
                x_BTD = x_BTD * inside_BT[..., None]
        return x_BTD

    def counts(self, length_B: Tensor) -> list[Tensor]:
        each: list[Tensor] = []
        for _ in range(self.bands - 1):
            length_B = self.halved(length_B)
            each.append(length_B)
        return [length_B, *reversed(each)]

    def halved(self, length_B: Tensor) -> Tensor:
        raise NotImplementedError

    def down(self, x_BTD: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def up(self, a_BKD: Tensor, d_BKD: Tensor, length: int) -> Tensor:
        raise NotImplementedError


class FilterBank(Wavelets):
    """a[k] = Σ_m low[m] x[2k + m − (L − 2)], d with `mirror(low)`; back by the same filters, which is exact if they are orthogonal.

    Of T entries (T + L − 1) // 2 remain, L = `taps`. Subclasses say where the filters [L, D] come from.
    """

    def __init__(self, dim: int, *, levels: int = 2, taps: int = 4) -> None:
        super().__init__(dim, levels=levels)
        self.taps = taps

    def low(self) -> Tensor:
        raise NotImplementedError

    def halved(self, length_B: Tensor) -> Tensor:
        return (length_B + self.taps - 1) // 2

    def down(self, x_BTD: Tensor) -> tuple[Tensor, Tensor]:
        low = self.low()
        return analyse(F.pad(x_BTD, (0, 0, self.taps - 2, self.taps - 1)), low, mirror(low))

    def up(self, a_BKD: Tensor, d_BKD: Tensor, length: int) -> Tensor:
        low = self.low()
        return synthesise(a_BKD, d_BKD, low, mirror(low))[:, self.taps - 2 : self.taps - 2 + length]


class FixedFilters(FilterBank):
    """Daubechies' filters with L / 2 vanishing moments, the same for all channels."""

    def __init__(self, dim: int, *, levels: int = 2, taps: int = 4) -> None:
        super().__init__(dim, levels=levels, taps=taps)
        self.filters: Tensor
        self.register_buffer("filters", daubechies(taps)[:, None].repeat(1, dim).to(torch.get_default_dtype()))

    def low(self) -> Tensor:
        return self.filters


class FreeFilters(FilterBank):
    """Filters that each channel learns, from Daubechies' on. They need not stay orthogonal: then back is not exactly back."""

    def __init__(self, dim: int, *, levels: int = 2, taps: int = 4) -> None:
        super().__init__(dim, levels=levels, taps=taps)
        self.filters = nn.Parameter(daubechies(taps)[:, None].repeat(1, dim).to(torch.get_default_dtype()))

    def low(self) -> Tensor:
        return self.filters


class OrthogonalFilters(FilterBank):
    """Filters that each channel learns by L / 2 angles, orthogonal whatever these are."""

    def __init__(self, dim: int, *, levels: int = 2, taps: int = 4) -> None:
        super().__init__(dim, levels=levels, taps=taps)
        if taps < 2 or taps % 2:
            raise ValueError(f"taps={taps}: two for each angle; use an even number")
        self.angles = nn.Parameter(2 * torch.pi * torch.rand(taps // 2, dim))

    def low(self) -> Tensor:
        return turned(self.angles).flip(0)


class Lifting(Wavelets):
    """d = odd − ½ SiLU(Σ_m guess[m] even[k + m]),  a = even + ¼ SiLU(Σ_m update[m] d[k + m]); filters of each channel, L = `taps`.

    Undone step by step: exact, though not linear. Of T entries ⌈T / 2⌉ remain.
    """

    def __init__(self, dim: int, *, levels: int = 2, taps: int = 4) -> None:
        super().__init__(dim, levels=levels)
        self.guess, self.update = (nn.Parameter(0.02 * torch.randn(taps, dim)) for _ in range(2))

    def halved(self, length_B: Tensor) -> Tensor:
        return (length_B + 1) // 2

    def down(self, x_BTD: Tensor) -> tuple[Tensor, Tensor]:
        even, odd = x_BTD[:, ::2], F.pad(x_BTD, (0, 0, 0, x_BTD.shape[1] % 2))[:, 1::2]
        d_BKD = odd - F.silu(self.ahead(even, self.guess)) / 2
        return even + F.silu(self.ahead(d_BKD, self.update)) / 4, d_BKD

    def up(self, a_BKD: Tensor, d_BKD: Tensor, length: int) -> Tensor:
        even = a_BKD - F.silu(self.ahead(d_BKD, self.update)) / 4
        odd = d_BKD + F.silu(self.ahead(even, self.guess)) / 2
        return torch.stack((even, odd), 2).flatten(1, 2)[:, :length]

    def ahead(self, x_BKD: Tensor, filter_LD: Tensor) -> Tensor:
        """Σ_m filter[m] x[k + m]."""
        taps, width = filter_LD.shape
        return F.conv1d(F.pad(x_BKD.mT, (0, taps - 1)), filter_LD.mT[:, None], groups=width).mT


class Fourier(Transform):
    """One band: real, then imaginary parts of the frequencies 0 … T / 2. Each depends on the row's length: no padding."""

    bands, pads = 1, False

    def __init__(self, dim: int) -> None:
        super().__init__()

    def split(self, x_BTD: Tensor) -> list[Tensor]:
        spectrum: Tensor = fft.rfft(x_BTD.to(torch.promote_types(x_BTD.dtype, torch.float32)).mT, norm="ortho").mT
        return [torch.cat((spectrum.real, spectrum.imag), 1).to(x_BTD.dtype)]

    def merge(self, bands: list[Tensor], length: int, length_B: Tensor | None = None) -> Tensor:
        real, imaginary = bands[0].to(torch.promote_types(bands[0].dtype, torch.float32)).chunk(2, 1)
        x_BDT: Tensor = fft.irfft(torch.complex(real, imaginary).mT, n=length, norm="ortho")
        return x_BDT.mT.to(bands[0].dtype)

    def counts(self, length_B: Tensor) -> list[Tensor]:
        return [2 * (length_B // 2 + 1)]
