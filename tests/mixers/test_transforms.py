"""Transforms along the sequence: exact inverses at every length, Daubechies' filters, a plain loop, and mixing what they give."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.identity import Identity
from sequary.mixers.spectral import transforms
from sequary.mixers.spectral.transformed import TransformedMixer
from sequary.mixers.spectral.transforms import (
    FilterBank,
    FixedFilters,
    Fourier,
    FreeFilters,
    Lifting,
    OrthogonalFilters,
)
from sequary.ops.wavelets import daubechies

FAMILIES: tuple[Part[transforms.Transform], ...] = (
    part(FixedFilters, levels=3, taps=6),
    part(FreeFilters, levels=3, taps=4),
    part(OrthogonalFilters, levels=3, taps=6),
    part(OrthogonalFilters, levels=1, taps=2),
    part(Lifting, levels=3, taps=5),
    part(Fourier),
)


def same(a: Tensor, b: Tensor) -> None:
    """Filters are made in float32."""
    torch.testing.assert_close(a, b, atol=1e-6, rtol=0)


def built(family: Part[transforms.Transform], width: int = 3) -> transforms.Transform:
    torch.manual_seed(0)
    return family.build(Place(width)).double()


def tokens(length: int, rows: int = 2) -> Tensor:
    return torch.randn(rows, length, 3, generator=torch.Generator().manual_seed(length), dtype=torch.float64)


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
@pytest.mark.parametrize("length", [1, 2, 7, 24, 31])
def test_there_and_back_is_nowhere(family: Part[transforms.Transform], length: int) -> None:
    transform, x = built(family), tokens(length)
    bands = transform.split(x)
    assert [b.shape[1] for b in bands] == [int(n) for n in transform.counts(torch.tensor(length))]
    same(transform.merge(bands, length), x)


@pytest.mark.parametrize("family", FAMILIES[:-1], ids=repr)
def test_a_row_filled_up_with_zeros_has_the_same_coefficients(family: Part[transforms.Transform]) -> None:
    transform, x = built(family), tokens(13)
    for short, long in zip(transform.split(x), transform.split(torch.cat((x, 0 * tokens(8)), 1)), strict=True):
        torch.testing.assert_close(long[:, : short.shape[1]], short)
        assert not long[:, short.shape[1] :].any()


def test_bands_are_the_sums_of_the_equation() -> None:
    bank, x = built(part(OrthogonalFilters, levels=1, taps=4)), tokens(9)
    assert isinstance(bank, FilterBank)
    low, (a, d) = bank.low(), bank.split(x)
    for k in range(a.shape[1]):
        sums = torch.zeros(2, 2, 3, dtype=torch.float64)
        for m in range(4):
            t = 2 * k + m - 2
            if 0 <= t < 9:
                sums += torch.stack((low[m], (-1) ** m * low[3 - m]))[:, None] * x[:, t]
        torch.testing.assert_close(torch.stack((a[:, k], d[:, k])), sums)


@pytest.mark.parametrize("taps", [2, 4, 10, 20])
def test_daubechies_filters_are_orthogonal_and_their_moments_vanish(taps: int) -> None:
    low = daubechies(taps)
    sign = 1 - 2 * (torch.arange(taps) % 2)
    for power in range(taps // 2):
        scale = taps ** -float(power)
        assert abs(float((sign * torch.arange(taps, dtype=torch.float64) ** power * low).sum()) * scale) < 1e-9
        assert abs(float((low[: taps - 2 * power] * low[2 * power :]).sum()) - (power == 0)) < 1e-9


def test_four_taps_are_those_of_the_book() -> None:
    root = 3**0.5
    wanted = torch.tensor([1 + root, 3 + root, 3 - root, 1 - root], dtype=torch.float64) / (4 * 2**0.5)
    torch.testing.assert_close(daubechies(4), wanted)
    with pytest.raises(ValueError, match="taps=5"):
        daubechies(5)


def test_details_of_a_constant_vanish_away_from_the_ends() -> None:
    details = built(part(FixedFilters, levels=1, taps=6)).split(torch.ones(1, 40, 3, dtype=torch.float64))[1]
    assert float(details[0, 4:-4].abs().max()) < 1e-6


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_what_mixes_nothing_changes_nothing(family: Part[transforms.Transform]) -> None:
    mixer, x = TransformedMixer(3, transform=family, mixer=part(Identity)).double(), tokens(11)
    same(mixer(x), x)
    assert mixer.pads == (family.cls is not Fourier)
    if mixer.pads:
        mask = torch.arange(11).expand(2, -1) >= torch.tensor([[0], [4]])
        same(mixer(x, Ctx(mask=mask))[mask], x[mask])


@pytest.mark.parametrize("family", FAMILIES[:-1], ids=repr)
@pytest.mark.parametrize("left", [True, False])
def test_padding_changes_nothing_whatever_the_transform(family: Part[transforms.Transform], left: bool) -> None:
    """Odd lengths leave an entry behind the end of a lifted band, which the next level must not read."""
    torch.manual_seed(0)
    mixer, x = TransformedMixer(4, transform=family).double(), torch.randn(1, 40, 4, dtype=torch.float64)
    real = slice(19, 40) if left else slice(0, 21)
    mask = torch.zeros(1, 40, dtype=torch.bool)
    mask[:, real] = True
    torch.testing.assert_close(mixer(x, Ctx(mask=mask))[:, real], mixer(x[:, real]))
