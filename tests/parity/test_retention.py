"""Retention beside flash-linear-attention's naive kernel, alone and inside the layer written out as the paper has it."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.mixers.linear.retention import Retention
from sequary.ops.linear_attend import linear_attend


def naive() -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """fla's function, from its file: importing the package asks for Triton, which has no wheel for machines without a GPU."""
    package = importlib.util.find_spec("fla")
    if package is None or package.origin is None:
        pytest.skip("flash-linear-attention is not installed")
    path = Path(package.origin).parent / "ops" / "retention" / "naive.py"
    spec = importlib.util.spec_from_file_location("naive_retention", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.naive_retention


def closeness(a: Tensor, b: Tensor) -> float:
    return float((a - b).detach().abs().max() / b.detach().abs().max().clamp(min=1))


@pytest.mark.parametrize("heads", [1, 3, 8])
def test_the_naive_kernel_of_fla(heads: int) -> None:
    rng = torch.Generator().manual_seed(heads)
    q, k, v = (torch.randn(2, 150, heads, 8, generator=rng) for _ in range(3))
    g = Retention(8 * heads, heads=heads).log_decay()[:, None].expand_as(k)
    ours, _ = linear_attend(q / math.sqrt(8), k, v, g, torch.zeros(2, heads, 8, 8))
    theirs = naive()(*(x.transpose(1, 2) for x in (q, k, v))).transpose(1, 2)
    assert closeness(ours, theirs) < 1e-5


def turned(x_BHTK: Tensor, base: float) -> Tensor:
    """Pairs (first half, second half) as complex numbers times e^{i t θ}."""
    length, half = x_BHTK.shape[2], x_BHTK.shape[3] // 2
    angle = torch.arange(length).double()[:, None] * base ** (-torch.arange(half).double() / half)
    z = torch.complex(x_BHTK[..., :half], x_BHTK[..., half:]) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat((z.real, z.imag), -1)


def test_the_layer_written_out() -> None:
    torch.manual_seed(0)
    layer = Retention(32, heads=4, base=100.0).double()
    x = torch.randn(2, 40, 32, dtype=torch.float64)
    q, k, v = (t.unflatten(-1, (4, -1)).transpose(1, 2) for t in F.linear(x, layer.qkv.weight).split((32, 32, 64), -1))
    o = naive_wide(turned(q, 100.0), turned(k, 100.0), v)
    o = F.group_norm(o.transpose(1, 2).reshape(80, 64), 4, eps=1e-5).view(2, 40, 64)
    assert closeness(layer(x), F.linear(o * F.silu(F.linear(x, layer.g.weight)), layer.o.weight)) < 1e-5


def naive_wide(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """fla's kernel has values as wide as keys: two halves, one after the other."""
    return torch.cat([naive()(q, k, half) for half in v.chunk(2, -1)], -1)


def test_an_odd_width_is_refused() -> None:
    with pytest.raises(ValueError, match="3 entries"):
        Retention(12, heads=4)
