"""Windows over the past: real tokens only, one segment only, and the same in steps as in one pass."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sequary.core.contracts import Recurrent
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.free import CausalFreeAttention
from sequary.mixers.conv.short import ShortConv
from sequary.mixers.linear.gla import GatedLinearAttention
from sequary.mixers.spectral.causal_fourier import CausalFourier
from sequary.mixers.ssm.mamba import Mamba
from sequary.ops.causal_conv import causal_conv, starts, toeplitz_conv
from sequary.ops.forms import form

MIXERS: tuple[Part[Recurrent], ...] = (
    part(ShortConv),
    part(ShortConv, taps=1),
    part(CausalFourier, window=5),
    part(GatedLinearAttention, conv=part(ShortConv)),
    part(Mamba),
)


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_convolution_by_hand() -> None:
    x, weight, bias, past = normal(2, 9, 3), normal(3, 4), normal(3), normal(2, 3, 3)
    y, after = causal_conv(x, weight, past, bias_D=bias)
    seen = torch.cat((past, x), 1)
    expected = torch.stack([bias + sum(weight[:, j] * seen[:, t + j] for j in range(4)) for t in range(9)], 1)
    torch.testing.assert_close(y, expected)
    assert torch.equal(after, x[:, -3:])


@pytest.mark.parametrize("taps", [1, 4])
@pytest.mark.parametrize("length", [1, 9, 130, 300])
@pytest.mark.parametrize("masked", [False, True])
def test_passes_are_the_convolution_and_its_slopes(taps: int, length: int, masked: bool) -> None:
    mask = torch.rand(2, length, generator=torch.Generator().manual_seed(1)) < 0.7 if masked else None
    found = list[list[Tensor]]()
    for name in ("reference", "passes"):
        leaves = [
            x.requires_grad_() for x in (normal(2, length, 3), normal(3, taps), normal(2, taps - 1, 3), normal(3))
        ]
        x, weight, past, bias = leaves
        with form(name):
            y, after = causal_conv(x, weight, past, bias_D=bias, mask_BT=mask)
        y = y if mask is None else y[mask]
        found.append([y, after, *torch.autograd.grad((y * y.detach().cos()).sum(), leaves, allow_unused=True)])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


def test_passes_are_an_operator_that_torch_can_trace() -> None:
    line, weight, bias = (x.requires_grad_() for x in (normal(2, 12, 3), normal(3, 4), normal(3)))
    for given in (bias, None):
        torch.library.opcheck(torch.ops.sequary.causal_conv.default, (line, weight, given))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_the_banded_product_is_the_convolution(masked: bool, packed: bool) -> None:
    x, weight, past = normal(2, 9, 3), normal(4), normal(2, 3, 3)
    mask = torch.tensor([[1, 1, 0, 1, 1, 1, 0, 0, 1]] * 2).bool() if masked else None
    segments = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 2, 2]] * 2) if packed else None
    begins, _ = starts(segments, mask, torch.zeros(2, dtype=torch.long))
    one = toeplitz_conv(x, weight, past, mask_BT=mask, starts_BT=begins)
    two = causal_conv(x, weight.expand(3, 4), past, mask_BT=mask, starts_BT=begins)
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a, b)


def test_a_segment_starts_at_its_first_real_token() -> None:
    segments = torch.tensor([[5, 5, 6, 6, 6, 7]])
    mask = torch.tensor([[True, True, False, True, True, False]])
    begins, last = starts(segments, mask, torch.tensor([4]))
    assert begins is not None
    assert begins.tolist() == [[True, False, False, True, False, False]]
    assert last.tolist() == [6]
    assert starts(None, mask, last) == (None, last)
    assert last.untyped_storage().nbytes() == last.nbytes


@pytest.mark.parametrize("mixer", MIXERS, ids=str)
def test_gaps_and_segments_in_steps(mixer: Part[Recurrent]) -> None:
    """Padding anywhere, rows packed: each segment is as if alone, in one pass and in steps that cut across both."""
    torch.manual_seed(0)
    module = mixer.build(Place(8)).double()
    x, segments = normal(2, 20, 8), torch.tensor([0] * 4 + [1] + [2] * 9 + [3] * 6).expand(2, -1)
    mask = torch.ones(2, 20, dtype=torch.bool)
    mask[0, :3], mask[0, 7:9], mask[1, 13:15] = False, False, False
    whole = module(x, Ctx(mask=mask, segments=segments))
    state, steps = module.init_state(2), list[Tensor]()
    for a, b in ((0, 4), (4, 5), (5, 6), (6, 9), (9, 14), (14, 20)):
        y, state = module.step(x[:, a:b], state, Ctx(mask=mask[:, a:b], segments=segments[:, a:b]))
        steps.append(y)
    torch.testing.assert_close(torch.cat(steps, 1)[mask], whole[mask])
    for row in range(2):
        for number in range(4):
            here = mask[row] & (segments[row] == number)
            torch.testing.assert_close(whole[row, here], module(x[row : row + 1, here])[0])
    nothing = module(x, Ctx(mask=torch.zeros_like(mask)))
    assert nothing.isfinite().all()


@pytest.mark.parametrize("biased", [False, True])
def test_passes_round_as_the_plain_form_does(biased: bool) -> None:
    """Else what amplifies rounding after it, as a memory trained with Newton-Schulz steps does, tells the forms apart."""
    x, weight, past, bias = normal(2, 300, 3), normal(3, 4), normal(2, 3, 3), normal(3) if biased else None
    found = list[Tensor]()
    for name in ("reference", "passes"):
        with form(name):
            found.append(causal_conv(x, weight, past, bias_D=bias)[0])
    assert torch.equal(*found)


@pytest.mark.parametrize("mixer", [*MIXERS, part(CausalFreeAttention)], ids=str)
def test_a_state_does_not_hold_what_it_was_read_from(mixer: Part[Recurrent]) -> None:
    """After many tokens at once: a view would hold them all."""
    torch.manual_seed(0)
    module = mixer.build(Place(8)).double()
    _, state = module.step(normal(2, 64, 8), module.init_state(2))
    held = dict[int, int]()

    def look(t: Tensor) -> Tensor:
        held[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    state.map(look)
    assert sum(held.values()) <= state.bytes()
