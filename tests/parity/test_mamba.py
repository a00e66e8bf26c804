"""transformers' Mamba with weights copied over, and options of the authors' block. Their own outputs: test_goldens."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.convert.declined import Declined
from sequary.convert.mamba import Loaded, load, replay, selective_scan
from sequary.core.contracts import Model
from sequary.core.values import Batch
from sequary.mixers.ssm.mamba import Mamba

CONFIG = {"vocab_size": 19, "hidden_size": 16, "state_size": 5, "num_hidden_layers": 3, "conv_kernel": 3}


def closeness(a: Tensor, b: Tensor) -> float:
    return float((a - b).detach().abs().max() / b.detach().abs().max().clamp(min=1))


@pytest.mark.parametrize(
    "options", [{}, {"use_bias": True, "use_conv_bias": False, "time_step_rank": 3, "expand": 3}], ids=str
)
def test_the_language_model_of_transformers(options: dict[str, Any]) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    torch.manual_seed(0)
    theirs = transformers.MambaForCausalLM(transformers.MambaConfig(**CONFIG, **options, use_cache=False)).eval()
    for weight in theirs.parameters():
        torch.nn.init.normal_(weight, std=0.4)
    ours = load("MambaForCausalLM", {**CONFIG, **options}, theirs.state_dict())
    assert isinstance(ours, Model)
    ids = torch.randint(0, 19, (2, 21))
    with torch.no_grad():
        out = theirs(ids, output_hidden_states=True)
        hidden = ours(Batch(values=ids)).hidden
        assert closeness(hidden, out.hidden_states[-1]) < 1e-5
        assert closeness(ours.head(hidden), out.logits) < 1e-5


def block(arguments: dict[str, Any]) -> dict[str, Tensor]:
    """Random weights in the shapes of mamba_simple.Mamba."""
    rng = torch.Generator().manual_seed(0)
    dim, states, taps = arguments["d_model"], arguments["d_state"], arguments["d_conv"]
    inner = int(dim * arguments["expand"])
    rank = -(-dim // 16) if arguments["dt_rank"] == "auto" else arguments["dt_rank"]
    shapes: dict[str, tuple[int, ...]] = {
        "A_log": (inner, states),
        "D": (inner,),
        "in_proj.weight": (2 * inner, dim),
        "conv1d.weight": (inner, 1, taps),
        "x_proj.weight": (rank + 2 * states, inner),
        "dt_proj.weight": (inner, rank),
        "dt_proj.bias": (inner,),
        "out_proj.weight": (dim, inner),
        **({"conv1d.bias": (inner,)} if arguments["conv_bias"] else {}),
        **({"in_proj.bias": (2 * inner,), "out_proj.bias": (dim,)} if arguments["bias"] else {}),
    }
    return {k: 0.4 * torch.randn(*v, generator=rng, dtype=torch.float64) for k, v in shapes.items()}


@pytest.mark.parametrize("length", [1, 2, 3, 40])
@pytest.mark.parametrize(
    "change", [{}, {"d_conv": 2, "dt_rank": 3, "bias": True, "conv_bias": False, "expand": 1.5}], ids=str
)
def test_the_block_at_other_sizes(change: dict[str, Any], length: int) -> None:
    """Steps equal the whole pass, and the states are those of the equation, whatever the length."""
    arguments = {
        "d_model": 8,
        "d_state": 4,
        "d_conv": 4,
        "expand": 2,
        "dt_rank": "auto",
        "conv_bias": True,
        "bias": False,
    }
    arguments |= change
    loaded = load("Mamba", {**arguments, "use_fast_path": False, "layer_idx": 0}, block(arguments))
    assert isinstance(loaded, Mamba)
    out = replay(loaded, {"x": torch.randn(2, length, 8, dtype=torch.float64)}, arguments)
    assert closeness(out["y_step"], out["y"]) < 1e-12
    inner = int(8 * arguments["expand"])
    missing = max(arguments["d_conv"] - length, 0)
    for name in ("conv_state", "prefill_conv_state"):
        assert out[name].shape == (2, inner, arguments["d_conv"])
        assert not out[name][..., :missing].any()


def by_hand(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """[B, D, L] by the equation, B and C given in full [B, D, N, L]."""
    h, ys = torch.zeros(u.shape[0], *A.shape, dtype=u.dtype), []
    for t in range(u.shape[2]):
        h = (dt[:, :, t, None] * A).exp() * h + (dt * u)[:, :, t, None] * B[..., t]
        ys.append((h * C[..., t]).sum(-1))
    return torch.stack(ys, -1)


@pytest.mark.parametrize(
    "shapes", [("DN", "BNL"), ("BNL", "DN"), ("DN", "DN"), ("B2NL", "BNL"), ("B3NL", "B2NL")], ids=str
)
def test_the_scan_with_constant_and_grouped_projections(shapes: tuple[str, str]) -> None:
    rng = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    def projection(kind: str) -> tuple[Tensor, Tensor]:
        if kind == "DN":
            x = normal(6, 4)
            return x, x[None, ..., None].expand(2, -1, -1, 9)
        x = normal(2, 4, 9) if kind == "BNL" else normal(2, int(kind[1]), 4, 9)
        grouped = x if x.dim() == 4 else x[:, None]
        return x, grouped.repeat_interleave(6 // grouped.shape[1], 1)

    u, dt, A = normal(2, 6, 9), normal(2, 6, 9), -normal(6, 4).exp()
    (B, full_B), (C, full_C) = projection(shapes[0]), projection(shapes[1])
    y, _ = selective_scan(u, dt, A, B, C, delta_softplus=True)
    assert closeness(y, by_hand(u, F.softplus(dt), A, full_B, full_C)) < 1e-12


def test_declines_by_name() -> None:
    scan: Loaded = load("selective_scan_ref", {}, {})
    u = torch.ones(1, 2, 3)
    with pytest.raises(Declined, match="A=complex"):
        replay(scan, {"u": u, "delta": u, "A": torch.ones(2, 4, dtype=torch.complex64), "B": u, "C": u}, {})
    with pytest.raises(Declined, match="headdim=64"):
        load("Mamba", {"d_model": 8, "headdim": 64}, {})
    with pytest.raises(Declined, match="source='Mamba2'"):
        load("Mamba2", {}, {})
    with pytest.raises(Declined, match="hidden_act='gelu'"):
        load("MambaForCausalLM", {"hidden_act": "gelu"}, {})
