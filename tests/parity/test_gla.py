"""flash-linear-attention: its naive kernel beside ours, and every option of its layer. Its own outputs: test_goldens."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.convert.declined import Declined
from sequary.convert.gla import load
from sequary.mixers.linear.gla import GatedLinearAttention
from sequary.ops.linear_attend import linear_attend


def naive() -> Callable[..., tuple[Tensor, Tensor]]:
    """fla's function, from its file: importing the package asks for Triton, which has no wheel for machines without a GPU."""
    package = importlib.util.find_spec("fla")
    if package is None or package.origin is None:
        pytest.skip("flash-linear-attention is not installed")
    spec = importlib.util.spec_from_file_location("naive_gla", Path(package.origin).parent / "ops" / "gla" / "naive.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.naive_recurrent_gla


def closeness(a: Tensor, b: Tensor) -> float:
    return float((a - b).detach().abs().max() / b.detach().abs().max().clamp(min=1))


def test_the_naive_kernel_of_fla() -> None:
    rng = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 70, 3, 8, generator=rng) for _ in range(3))
    g = F.logsigmoid(torch.randn(2, 70, 3, 8, generator=rng)) / 16
    first = torch.randn(2, 3, 8, 8, generator=rng)
    theirs = naive()(q, k, v, g, first, output_final_state=True)
    for ours, their in zip(linear_attend(q / math.sqrt(8), k, v, g, first), theirs, strict=True):
        assert closeness(ours, their) < 1e-5


FUNCTIONS: dict[str | None, Callable[[Tensor], Tensor] | None] = {
    None: None, "relu": F.relu, "sigmoid": torch.sigmoid, "logsigmoid": F.logsigmoid, "silu": F.silu, "swish": F.silu,
    "sqrelu": lambda x: F.relu(x).square(), "gelu": lambda x: F.gelu(x, approximate="tanh"),
}  # fmt: skip


DEFAULTS: dict[str, Any] = {
    "hidden_size": 32, "num_heads": 4, "gate_low_rank_dim": 8, "expand_k": 0.5, "expand_v": 1.0, "num_kv_heads": 4,
    "feature_map": None, "use_short_conv": False, "conv_size": 4, "conv_bias": False, "use_output_gate": True,
    "gate_fn": "swish", "elementwise_affine": True, "norm_eps": 1e-5, "gate_logit_normalizer": 16,
    "clamp_min": None, "fuse_norm": True,
}  # fmt: skip


def weights(a: dict[str, Any]) -> dict[str, Tensor]:
    """Random weights with the names and shapes of fla's layer."""
    rng, shared = torch.Generator().manual_seed(0), a["num_heads"] // a["num_kv_heads"]
    dim, rank, key, value = (
        a["hidden_size"],
        a["gate_low_rank_dim"],
        *(int(32 * a[n]) for n in ("expand_k", "expand_v")),
    )
    widths = {"q": key, "k": key // shared, "v": value // shared}
    shapes: dict[str, tuple[int, ...]] = {f"{n}_proj.weight": (width, dim) for n, width in widths.items()}
    shapes |= {
        "gk_proj.0.weight": (rank, dim),
        "gk_proj.1.weight": (key // shared, rank),
        "o_proj.weight": (dim, value),
    }
    shapes["gk_proj.1.bias"] = (key // shared,)
    if a["use_output_gate"]:
        shapes["g_proj.weight"] = (value, dim)
    if a["elementwise_affine"]:
        fused = a["gate_fn"] == "swish" and a["fuse_norm"] and a["use_output_gate"]
        shapes["g_norm_swish_gate.weight" if fused else "g_norm.weight"] = (value // a["num_heads"],)
    if a["use_short_conv"]:
        shapes |= {f"{n}_conv1d.weight": (width, 1, a["conv_size"]) for n, width in widths.items()}
        shapes |= {f"{n}_conv1d.bias": (width,) for n, width in widths.items() if a["conv_bias"]}
    return {k: 0.4 * torch.randn(*v, generator=rng, dtype=torch.float64) for k, v in shapes.items()}


def plain(a: dict[str, Any], w: dict[str, Tensor], x: Tensor) -> Tensor:
    """fla/layers/gla.py line by line, its kernels replaced by plain torch."""
    q, k, v = (F.linear(x, w[f"{n}_proj.weight"]) for n in "qkv")
    if a["use_short_conv"]:
        q, k, v = (
            F.silu(F.conv1d(F.pad(t.mT, (a["conv_size"] - 1, 0)), w[f"{n}_conv1d.weight"], w.get(f"{n}_conv1d.bias"),
                            groups=t.shape[-1]).mT)
            for n, t in zip("qkv", (q, k, v), strict=True)
        )  # fmt: skip
    low = F.linear(x, w["gk_proj.0.weight"])
    gk = F.logsigmoid(F.linear(low, w["gk_proj.1.weight"], w["gk_proj.1.bias"])) / a["gate_logit_normalizer"]
    gk = gk if a["clamp_min"] is None else gk.clamp(min=a["clamp_min"])
    q = q.unflatten(-1, (a["num_heads"], -1))
    shared = a["num_heads"] // a["num_kv_heads"]
    k, gk, v = (t.unflatten(-1, (a["num_kv_heads"], -1)).repeat_interleave(shared, 2) for t in (k, gk, v))
    feature = FUNCTIONS[a["feature_map"]]
    if feature is not None:
        q, k = feature(q), feature(k)
    S, outputs = x.new_zeros(x.shape[0], q.shape[2], q.shape[3], v.shape[3]), []
    for t in range(x.shape[1]):
        S = S * gk[:, t].exp()[..., None] + k[:, t, :, :, None] * v[:, t, :, None]
        outputs.append((q[:, t, :, :, None] * S).sum(-2) / math.sqrt(q.shape[-1]))
    o = torch.stack(outputs, 1)
    norm = w.get("g_norm_swish_gate.weight", w.get("g_norm.weight"))
    o = F.rms_norm(o, o.shape[-1:], norm, a["norm_eps"]).flatten(2)
    gate = FUNCTIONS[a["gate_fn"]]
    assert gate is not None
    o = o * gate(F.linear(x, w["g_proj.weight"])) if a["use_output_gate"] else o
    return F.linear(o, w["o_proj.weight"])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mode": "fused_recurrent", "layer_idx": 3, "expand_k": 1.0, "expand_v": 2.0, "gate_logit_normalizer": 4},
        {"num_kv_heads": 2},
        {"num_kv_heads": 1, "use_short_conv": True, "conv_size": 3, "conv_bias": True},
        {"use_short_conv": True, "feature_map": "relu", "clamp_min": -0.03},
        {"use_output_gate": False, "elementwise_affine": False, "norm_eps": 1e-3},
        {"fuse_norm": False, "elementwise_affine": False},
        *({"gate_fn": name, "feature_map": name} for name in FUNCTIONS if name),
    ],
    ids=str,
)
def test_every_option_of_the_layer(options: dict[str, Any]) -> None:
    arguments = {**DEFAULTS, **options}
    theirs, x = (
        weights(arguments),
        torch.randn(2, 9, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1)),
    )
    ours = load(
        "GatedLinearAttention", {**{n: DEFAULTS[n] for n in ("hidden_size", "gate_low_rank_dim")}, **options}, theirs
    )
    assert isinstance(ours, GatedLinearAttention)
    # fla rounds √(2/π) to eight digits in its GELU; torch, which `plain` uses, does not.
    assert closeness(ours(x), plain(arguments, theirs, x)) < (1e-8 if "gelu" in options.values() else 1e-12)


def test_declines_by_name() -> None:
    with pytest.raises(Declined, match="gate_fn='bias_gelu'"):
        load("GatedLinearAttention", {"hidden_size": 32, "gate_fn": "bias_gelu"}, {})
    with pytest.raises(Declined, match="window=3"):
        load("GatedLinearAttention", {"window": 3}, {})
    with pytest.raises(Declined, match="source='GLA'"):
        load("GLA", {}, {})
