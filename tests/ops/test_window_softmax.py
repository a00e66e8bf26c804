"""The form in blocks equals the softmax written out, where keys are missing and where runs meet, and is an operator torch can trace."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sequary.ops.forms import form
from sequary.ops.window_softmax import BLOCK, chunked, window_softmax

K, E = 5, 3


def inputs(length: int, *, scale: float = 1.0) -> list[Tensor]:
    rng = torch.Generator().manual_seed(length)
    shapes = ((2, K - 1 + length, E), (2, K - 1 + length, E), (K, E), (2, length, E), (2, length, E))
    k, v, w, z, o = (torch.randn(shape, generator=rng, dtype=torch.float64) for shape in shapes)
    k[0, : K - 1] = torch.finfo(k.dtype).min  # nothing before the first token
    return [scale * k.clamp(min=-1e300), v, w, scale * z, o]


def results(args: list[Tensor], runs: Tensor | None, name: str) -> list[Tensor]:
    leaves = [x.clone().requires_grad_() for x in args]
    with form(name):
        k, v, w, z, o = leaves
        y = window_softmax(k, v, w, z, o, runs)
    return [y.detach(), *torch.autograd.grad((y * y.detach().cos()).sum(), leaves)]


@pytest.mark.parametrize("scale", [1.0, 100.0])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("length", [1, 4, BLOCK, BLOCK + 1, 2 * BLOCK + 7])
def test_blocks_equal_the_softmax(length: int, packed: bool, scale: float) -> None:
    runs = torch.arange(K - 1 + length).div(7, rounding_mode="floor").expand(2, -1) if packed else None
    args = inputs(length, scale=scale)
    for fast, slow in zip(results(args, runs, "chunked"), results(args, runs, "reference"), strict=True):
        assert fast.shape == slow.shape
        assert float((fast - slow).abs().max()) < 1e-12


def test_it_is_a_mean_of_what_is_seen() -> None:
    k, v, w, z, o = inputs(3)
    y = window_softmax(k, v, w, z, o)
    logits = torch.stack([z[1, 2], *(k[1, 2 + j] + w[j] for j in range(K))])
    values = torch.stack([o[1, 2], *(v[1, 2 + j] for j in range(K))])
    assert torch.allclose(y[1, 2], (logits.softmax(0) * values).sum(0), atol=1e-14)


def test_torch_can_trace_it() -> None:
    torch.library.opcheck(chunked, (*(x.requires_grad_() for x in inputs(9)), None))
