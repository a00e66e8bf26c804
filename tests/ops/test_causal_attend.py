"""Attention by blocks of products equals the products written out, in value and gradient, and can be traced."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sequary.ops import causal_attend as op
from sequary.ops.causal_attend import causal_attend
from sequary.ops.forms import form

Inputs = tuple[Tensor, Tensor, Tensor]


def inputs(length: int, dtype: torch.dtype = torch.float64, sharp: float = 1.0) -> Inputs:
    """Views as a projection leaves them, time before heads; values wider than keys."""
    rng = torch.Generator().manual_seed(length)
    q, k, v = (torch.randn(2, length, 3, width, generator=rng, dtype=torch.float64).to(dtype) for width in (8, 8, 5))
    return sharp * q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)


def results(args: Inputs, name: str) -> list[Tensor]:
    leaves = [x.detach().requires_grad_() for x in args]
    with form(name):
        out = causal_attend(*leaves)
        return [out.detach(), *torch.autograd.grad((out * out.detach().cos()).sum(), leaves)]


def gap(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).abs().max() / b.double().abs().max().clamp(min=1))


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 200])
@pytest.mark.parametrize("sharp", [1.0, 100.0])
def test_blocks_equal_the_products_written_out(length: int, sharp: float) -> None:
    args = inputs(length, sharp=sharp)
    for fast, slow in zip(results(args, "products"), results(args, "reference"), strict=True):
        assert fast.shape == slow.shape
        assert torch.isfinite(fast).all()
        assert gap(fast, slow) < 1e-12


def test_bfloat16_takes_blocks_up_to_the_longest_and_is_as_close_as_torch() -> None:
    exact = results(inputs(130), "reference")
    half = inputs(130, torch.bfloat16)
    ours, fused = results(half, ""), results(half, "sdpa")
    for found, by_blocks in zip(ours, results(half, "products"), strict=True):
        assert torch.equal(found, by_blocks)
    for found, other, true in zip(ours, fused, exact, strict=True):
        assert gap(found, true) < max(2 * gap(other, true), 0.01)
    long = inputs(op.LONGEST + 1, torch.bfloat16)
    assert torch.equal(results(long, "")[0], results(long, "sdpa")[0])


def test_full_precision_is_left_to_torch() -> None:
    args = inputs(40, torch.float32)
    assert torch.equal(results(args, "")[0], results(args, "sdpa")[0])


def test_operators_are_traced_right() -> None:
    args = tuple(x.detach().requires_grad_() for x in inputs(70))
    torch.library.opcheck(op._products, args)
    out, kept = op._products(*args)
    torch.library.opcheck(op._backward, (torch.ones_like(out).detach(), *(x.detach() for x in args), kept.detach()))
