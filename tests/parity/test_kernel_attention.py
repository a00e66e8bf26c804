"""Kernel attention beside flash-linear-attention's naive function, which normalises too."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sequary.core.ctx import Ctx
from sequary.mixers.linear.feature_maps import EluPlusOne
from sequary.mixers.linear.kernel import KernelState
from sequary.ops.kernel_attend import mean, with_ones


def naive() -> Callable[..., Tensor]:
    """fla's function, from its file: importing the package asks for Triton, which has no wheel for machines without a GPU."""
    package = importlib.util.find_spec("fla")
    if package is None or package.origin is None:
        pytest.skip("flash-linear-attention is not installed")
    path = Path(package.origin).parent / "ops" / "linear_attn" / "naive.py"
    spec = importlib.util.spec_from_file_location("naive_linear_attention", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.naive_chunk_linear_attn


@pytest.mark.parametrize("heads", [1, 3])
def test_the_naive_function_of_fla(heads: int) -> None:
    rng, feature = torch.Generator().manual_seed(heads), EluPlusOne(8)
    q, k, v = (torch.randn(2, 192, heads, 8, generator=rng) for _ in range(3))
    q, k = feature.queries(q), feature.keys(k)
    sums, _ = KernelState.empty(2, heads, 8, 9, q).add(q, k, with_ones(v), Ctx())
    torch.testing.assert_close(mean(sums, 1e-10), naive()(q, k, v, scale=1.0, normalize=True), rtol=0, atol=1e-5)
