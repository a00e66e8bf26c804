"""Mega's forms beyond the one that the laws build: chunks, elementwise weights, both sides; and the averages against their sums."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sequary.blocks.mega import Mega
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.mixers.attention.linear_reader import LinearReader
from sequary.mixers.attention.position_bias import NoBias, RotaryBias, TableBias
from sequary.mixers.attention.quantised_reader import QuantisedReader
from sequary.mixers.attention.single_head import SingleHead, laplace
from sequary.mixers.linear.features import squared_relu
from sequary.mixers.ssm.moving_average import MovingAverage, SkippedAverage, TwoSidedAverage

FORMS: dict[str, Part[Mega]] = {
    "chunked": part(Mega, read=part(SingleHead, chunk=4)),
    "laplace": part(Mega, read=part(SingleHead, weigh=laplace, bias=part(RotaryBias))),
    "chunked relu": part(Mega, read=part(SingleHead, chunk=3, weigh=squared_relu, bias=part(NoBias))),
    "linear": part(Mega, read=part(LinearReader)),
    "quantised": part(Mega, read=part(QuantisedReader, codes=5)),
    "two-sided": part(
        Mega,
        average=part(SkippedAverage, average=part(TwoSidedAverage)),
        read=part(SingleHead, causal=False, bias=part(TableBias, span=4)),
    ),
    "two-sided chunks": part(
        Mega,
        average=part(SkippedAverage, average=part(TwoSidedAverage)),
        read=part(SingleHead, causal=False, chunk=4, weigh=laplace),
    ),
}


def built(name: str) -> Mega:
    torch.manual_seed(0)
    block = FORMS[name].cls(16, **dict(FORMS[name].kw)).double().eval()
    with torch.no_grad():
        for weight in block.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    return block


def tokens(length: int = 14) -> Tensor:
    return torch.randn(2, length, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", FORMS)
def test_padding_and_packing(name: str) -> None:
    block, x = built(name), tokens()
    mask = torch.ones(2, 14, dtype=torch.bool)
    mask[1, :5] = False
    close(block(x, Ctx(mask=mask))[1:, 5:], block(x[1:, 5:]))
    close(block(x, Ctx(mask=mask.flip(1)))[1:, :9], block(x[1:, :9]))
    segments = (torch.arange(14) >= 6).long().expand(2, -1)
    packed = block(x, Ctx(segments=segments))
    close(packed[:, :6], block(x[:, :6]))
    close(packed[:, 6:], block(x[:, 6:]))


@pytest.mark.parametrize("name", [n for n in FORMS if "two" not in n])
@pytest.mark.parametrize("split", [(1,) * 14, (5, 9), (2, 1, 11)])
def test_steps_know_padding_and_segments(name: str, split: tuple[int, ...]) -> None:
    block, x = built(name), tokens()
    mask, segments = torch.ones(2, 14, dtype=torch.bool), torch.ones(2, 14, dtype=torch.long)
    mask[1, :3] = False
    segments[:, 8:] = 2
    for whole in (Ctx(), Ctx(mask=mask), Ctx(segments=segments)):
        state, at, found = block.init_state(2), 0, list[Tensor]()
        for size in split:
            part_of = {
                n: None if (v := getattr(whole, n)) is None else v[:, at : at + size] for n in ("mask", "segments")
            }
            y, state = block.step(x[:, at : at + size], state, Ctx(**part_of))
            found.append(y)
            at += size
        real = mask if whole.mask is not None else torch.ones_like(mask)
        close(torch.cat(found, 1)[real], block(x, whole)[real])


def test_a_chunk_sees_itself_alone_and_its_past_through_the_averages() -> None:
    read, q = SingleHead(4, chunk=4).double(), torch.randn(1, 10, 4, dtype=torch.float64)
    v = q.clone().requires_grad_()
    (grad,) = torch.autograd.grad(read(q, q, v)[0, 6].sum(), v)
    assert grad[0].abs().sum(-1).nonzero().flatten().tolist() == [4, 5, 6]
    block, x = built("chunked"), tokens().requires_grad_()
    (grad,) = torch.autograd.grad(block(x)[0, 6].sum(), x)
    assert (grad[0].abs().sum(-1) > 1e-9).nonzero().flatten().tolist() == list(range(7))


def test_the_average_is_the_papers_recurrence() -> None:
    torch.manual_seed(0)
    average, x = MovingAverage(16, states=3).double(), tokens()
    alpha, delta, h = average.alpha.sigmoid(), average.delta.sigmoid(), torch.zeros(2, 16, 3, dtype=torch.float64)
    found: list[Tensor] = []
    for t in range(14):
        h = alpha * average.beta * x[:, t, :, None] + (1 - alpha * delta) * h
        found.append((average.eta * h).sum(-1) / 3**0.5)
    close(average(x), torch.stack(found, 1))
