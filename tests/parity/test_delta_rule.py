"""The delta rule beside flash-linear-attention's naive functions and transformers' layer of Qwen3-Next, weights copied over."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.core.part import part
from sequary.mixers.conv.short import ShortConv
from sequary.mixers.linear.delta import DeltaNet
from sequary.ops.delta_rule import delta_rule


def naive(name: str) -> ModuleType:
    """fla's functions, from their file: importing the package asks for Triton, which has no wheel for machines without a GPU."""
    package = importlib.util.find_spec("fla")
    if package is None or package.origin is None:
        pytest.skip("flash-linear-attention is not installed")
    path = Path(package.origin).parent / "ops" / name / "naive.py"
    spec = importlib.util.spec_from_file_location(f"naive_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def closeness(a: Tensor, b: Tensor) -> float:
    return float((a - b).detach().abs().max() / b.detach().abs().max().clamp(min=1))


def drawn(length: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """q, unit k, v [2, T, 3, 8], strengths [2, T, 3], first state."""
    rng = torch.Generator().manual_seed(length)
    q, k, v = (torch.randn(2, length, 3, 8, generator=rng) for _ in range(3))
    return q, F.normalize(k, dim=-1), v, torch.rand(2, length, 3, generator=rng), torch.randn(2, 3, 8, 8, generator=rng)


def ours(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, g: Tensor | None, first: Tensor) -> tuple[Tensor, Tensor]:
    beta = beta[..., None]
    return delta_rule(q / math.sqrt(q.shape[-1]), k, beta * v, beta * k, g, first)


@pytest.mark.parametrize("length", [1, 70])
def test_delta_rule_of_fla(length: int) -> None:
    q, k, v, beta, first = drawn(length)
    heads_first = (x.transpose(1, 2) for x in (q, k, v, beta))
    o, last = naive("delta_rule").delta_rule_recurrence(*heads_first, initial_state=first)
    for mine, their in zip(ours(q, k, v, beta, None, first), (o.transpose(1, 2), last), strict=True):
        assert closeness(mine, their) < 1e-5


@pytest.mark.parametrize("length", [1, 70])
def test_gated_delta_rule_of_fla(length: int) -> None:
    q, k, v, beta, first = drawn(length)
    g = F.logsigmoid(torch.randn(2, length, 3, generator=torch.Generator().manual_seed(9)))
    theirs = naive("gated_delta_rule").naive_recurrent_gated_delta_rule(
        q, k, v, beta, g, initial_state=first, output_final_state=True
    )
    for mine, their in zip(ours(q, k, v, beta, g[..., None], first), theirs, strict=True):
        assert closeness(mine, their) < 1e-5


@pytest.mark.parametrize("length", [1, 70])
def test_kimi_delta_attention_of_fla(length: int) -> None:
    q, k, v, beta, first = drawn(length)
    g = F.logsigmoid(torch.randn(2, length, 3, 8, generator=torch.Generator().manual_seed(9)))
    theirs = naive("kda").naive_recurrent_kda(q, k, v, g, beta, initial_state=first, output_final_state=True)
    for mine, their in zip(ours(q, k, v, beta, g, first), theirs, strict=True):
        assert closeness(mine, their) < 1e-5


@pytest.mark.parametrize(("key_heads", "heads"), [(2, 2), (2, 6)])
def test_the_layer_of_transformers(key_heads: int, heads: int) -> None:
    transformers = pytest.importorskip("transformers")
    from transformers.models.qwen3_next.modeling_qwen3_next import Qwen3NextGatedDeltaNet

    config = transformers.Qwen3NextConfig(
        hidden_size=24, linear_num_key_heads=key_heads, linear_num_value_heads=heads, linear_key_head_dim=8,
        linear_value_head_dim=6, linear_conv_kernel_dim=4, num_hidden_layers=1,
    )  # fmt: skip
    torch.manual_seed(0)
    theirs = Qwen3NextGatedDeltaNet(config, 0).eval()
    conv = part(ShortConv, taps=4, bias=False)
    mine = DeltaNet(24, heads=heads, key_heads=key_heads, key=8, value=6, conv=conv, eps=config.rms_norm_eps)
    fill_from(theirs.state_dict(), mine, key_heads)
    x = torch.randn(2, 70, 24)
    assert closeness(mine(x), theirs(x)) < 1e-5


def fill_from(weights: dict[str, Tensor], layer: DeltaNet, key_heads: int) -> None:
    """Their projections hold, key head by key head, its query, key, values and output gates; then its strengths and rates."""
    share = layer.heads // key_heads
    sizes = [layer.key, layer.key, share * layer.value, share * layer.value]
    split = weights["in_proj_qkvz.weight"].unflatten(0, (key_heads, -1)).split(sizes, 1)
    q, k, v, z = (x.flatten(0, 1) for x in split)
    b, a = (x.flatten(0, 1) for x in weights["in_proj_ba.weight"].unflatten(0, (key_heads, -1)).split(share, 1))
    layer.load_state_dict({
        "qkv.weight": torch.cat((q, k, v)), "conv.weight": weights["conv1d.weight"].flatten(1), "gate.map.weight": z,
        "gates.beta.weight": b, "gates.rate.weight": a, "gates.log_rate": weights["A_log"], "gates.step": weights["dt_bias"],
        "norm.weight": weights["norm.weight"], "o.weight": weights["out_proj.weight"],
    })  # fmt: skip
