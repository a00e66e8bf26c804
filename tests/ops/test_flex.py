"""FlexAttention as a form of attention near by: equal to the dense mask; where it cannot learn, an error with the mend."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sequary.ops.block_attend import run_attend
from sequary.ops.forms import form


def world(length: int, device: str) -> tuple[list[Tensor], dict[str, Tensor]]:
    draw = torch.Generator().manual_seed(0)
    qkv = [torch.randn(2, 2, length, 16, generator=draw).to(device) for _ in range(3)]
    run = (torch.arange(length) // 150).expand(2, 1, -1)
    real = torch.rand(2, 1, length, generator=draw) < 0.8
    real[:, :, 4:40] = False  # some queries see nothing
    return qkv, {"run_BhT": run.to(device), "real_BhT": real.to(device)}


@pytest.mark.parametrize(("ahead", "itself"), [(False, True), (True, True), (True, False)])
@pytest.mark.parametrize(("length", "width"), [(1, 3), (100, 8), (300, 1), (300, 130), (513, 9)])
def test_values_equal_the_dense_mask(length: int, width: int, ahead: bool, itself: bool) -> None:
    qkv, marks = world(length, "cpu")
    found: list[tuple[Tensor, Tensor]] = []
    for name in ("flex", "reference"):
        with form(name):
            found.append(run_attend(*qkv, width=width, **marks, ahead=ahead, itself=itself))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("ahead", [False, True])
def test_values_and_gradients_on_a_gpu(ahead: bool) -> None:
    found: list[list[Tensor]] = []
    for name in ("flex", "reference"):
        qkv, marks = world(513, "cuda")
        given = [x.requires_grad_() for x in qkv]
        with form(name):
            o, z = run_attend(*given, width=40, **marks, ahead=ahead)
        total = (o * o.cos().detach()).sum() + torch.where(z > -1e9, z, 0).sin().sum()
        found.append([o, z, *torch.autograd.grad(total, given)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_learning_on_a_cpu_is_an_error() -> None:
    qkv, marks = world(100, "cpu")
    with form("flex"), pytest.raises(RuntimeError, match='use "blocks"'):
        run_attend(qkv[0].requires_grad_(), *qkv[1:], width=3, **marks)
