"""The tiled layer equals the loop, and its keys are read T log T times."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sequary.ops import recurrent_layer as op
from sequary.ops.forms import form


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def arguments(length: int, past: int) -> tuple[list[Tensor], Tensor, Tensor]:
    """(x, past keys and values, weights), who sees whom, positions."""
    shapes = [(8,), (8, 8), (8, 8), (8, 8), (8, 8), (8,), (12, 8), (8, 12)]
    weights = [normal(*s, seed=n) / len(s) for n, s in enumerate(shapes)]
    k, v = normal(2, 2, past, 4, seed=20), normal(2, 2, past, 4, seed=21)
    sees = torch.rand(2, length, past + length, generator=torch.Generator().manual_seed(1)) < 0.8
    return [normal(2, length, 8, seed=30), k, v, *weights], sees, torch.arange(past, past + length).expand(2, -1)


def results(name: str, length: int, past: int) -> list[Tensor]:
    tensors, sees, at = arguments(length, past)
    leaves = [t.requires_grad_() for t in tensors]
    with form(name):
        out = op.recurrent_layer(leaves[0], leaves[3:], leaves[1], leaves[2], sees, at, 100.0)
        loss = sum((t * t.detach().cos()).sum() for t in out)
        assert isinstance(loss, Tensor)
        return [*(t.detach() for t in out), *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize("length", [1, 2, 7, 16, 19])
@pytest.mark.parametrize("past", [0, 5])
def test_tiles_equal_the_loop(length: int, past: int) -> None:
    for fast, slow in zip(results("tiled", length, past), results("reference", length, past), strict=True):
        torch.testing.assert_close(fast, slow, rtol=0, atol=1e-11)


@pytest.mark.parametrize("length", [16, 64])
def test_keys_are_read_t_log_t_times(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors, sees, at = arguments(length, 0)
    reads: list[int] = []
    read = op._Sums.read

    def counted(self: op._Sums, rows: slice, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> None:
        reads.append(k.shape[2])
        read(self, rows, q, k, v, seen)

    monkeypatch.setattr(op._Sums, "read", counted)
    op.recurrent_layer(tensors[0], tensors[3:], tensors[1], tensors[2], sees, at, 100.0)
    assert sum(reads) == length / 2 * math.log2(length), (
        "T/2 log T: blocks of 2^j are read T / 2^(j+1) times, j = 0 … log T − 1"
    )
