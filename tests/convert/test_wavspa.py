"""Attentions of WavSpA's block that no golden holds, each against its formula on a level; and what is declined."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.convert import wavspa
from sequary.convert.declined import Declined
from sequary.convert.source import read_weights

GOLDEN = Path(__file__).parents[1] / "parity" / "goldens" / "wavspa" / "a4.json"


def case(**changes: Any) -> tuple[dict[str, Any], dict[str, Tensor], Tensor]:
    tensors = read_weights(GOLDEN.with_suffix(".safetensors"))
    arguments = {**json.loads(GOLDEN.read_text(encoding="utf-8"))["arguments"], **changes}
    return arguments, {k[2:]: v for k, v in tensors.items() if k.startswith("w.")}, tensors["in.x"]


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def heads(x: Tensor, kernel: Tensor) -> Tensor:
    return torch.einsum("btc,chd->bhtd", x, kernel)


def renamed(weights: dict[str, Tensor], name: str, extra: dict[str, Tensor]) -> dict[str, Tensor]:
    found = {k.replace("SelfAttention", name): v for k, v in weights.items()}
    return found | {f"{name}_{j}.{k}": v for j in range(3) for k, v in extra.items()}


def block(arguments: dict[str, Any], weights: dict[str, Tensor]) -> wavspa.Block:
    loaded = wavspa.load("WavspaBlock", arguments, weights)
    assert isinstance(loaded, wavspa.Block)
    return loaded


BIASES = {f"{n}.bias": drawn(2, 4) for n in ("query", "key", "value")} | {"out.bias": drawn(8)}


@pytest.mark.parametrize("kind", ["linear_attention", "linformer"])
def test_attentions_with_biases(kind: str) -> None:
    arguments, weights, _ = case(model_type=kind, max_len="30")
    name = {"linear_attention": "LinearAttention", "linformer": "LinformerAttention"}[kind]
    table = drawn(30, 128)
    own = renamed(weights, name, BIASES | ({"lr_kernel": table} if kind == "linformer" else {}))
    mixer, z = block(arguments, own).mixer.mixers[1], drawn(2, 9, 8)
    q, k, v = (heads(z, own[f"{name}_1.{n}.kernel"]) + BIASES[f"{n}.bias"][:, None] for n in ("query", "key", "value"))
    if kind == "linformer":
        shares = ((q / 2) @ (table[:9].mT @ k).mT).softmax(-1)
        y = shares @ (table[:9].mT @ v)
    else:
        shares = (F.elu(q) + 1) @ (F.elu(k) + 1).mT
        y = shares @ v / (shares.sum(-1, keepdim=True) + 1e-6)
    wanted = torch.einsum("bhtd,hdc->btc", y, own[f"{name}_1.out.kernel"]) + BIASES["out.bias"]
    torch.testing.assert_close(mixer(z), wanted)


def test_performer_and_longformer_without() -> None:
    arguments, weights, x = case(model_type="performer")
    norms = {f"SelfAttention_0.LayerNorm_{i}.{n}": drawn(4) + i for i in range(3) for n in ("scale", "bias")}
    inside = {k.replace("SelfAttention_", "PerformerAttn_").replace(".", ".SelfAttention_0.", 1)
              if k.startswith("SelfAttention") else k: v for k, v in weights.items()}  # fmt: skip
    own = inside | {f"PerformerAttn_{j}.{k}": v for j in range(3) for k, v in norms.items()}
    mixer, z = block(arguments, own).mixer.mixers[2], drawn(2, 9, 8)
    at = "PerformerAttn_2.SelfAttention_0"
    q, k, v = (
        F.layer_norm(heads(z, own[f"{at}.{n}.kernel"]), (4,), norms[f"SelfAttention_0.LayerNorm_{i}.scale"],
                     norms[f"SelfAttention_0.LayerNorm_{i}.bias"], 1e-6)
        for i, n in enumerate(("query", "key", "value"))
    )  # fmt: skip
    shares = (F.relu(q) + 1e-3) @ (F.relu(k) + 1e-3).mT
    y = shares @ v / shares.sum(-1, keepdim=True)
    torch.testing.assert_close(mixer(z), torch.einsum("bhtd,hdc->btc", y, own[f"{at}.out.kernel"]))

    named = {k.replace("SelfAttention", "LongformerAttention"): v for k, v in weights.items()}
    for n in ("query", "key", "value"):
        named = {k.replace(f".{n}.", f".{n}_sliding_window."): v for k, v in named.items()}
        named |= {f"LongformerAttention_{j}.{n}_global.kernel": drawn(8, 2, 4) for j in range(3)}
    near = block({**arguments, "model_type": "longformer"}, named)
    plain = block({**arguments, "model_type": "transformer"}, weights)
    torch.testing.assert_close(near(x), plain(x), msg="rows shorter than the window")


def test_fixed_filters_are_those_of_daubechies() -> None:
    """Channel 0 of a function's golden holds them exactly."""
    arguments, weights, x = case(wavelet="haar")
    fixed = {k: v for k, v in weights.items() if k != "adawave"}
    filters = read_weights(GOLDEN.with_name("a1.safetensors"))["in.h0"][:, :1].expand(-1, 8)
    wanted = block(arguments, {**fixed, "adawave": filters})(x)
    torch.testing.assert_close(block(arguments, fixed)(x), wanted, atol=1e-9, rtol=0)
    with pytest.raises(Declined, match="wlen=42"):
        block({**arguments, "wlen": "42"}, fixed)
    with pytest.raises(Declined, match="model_type='reformer'"):
        block({**arguments, "model_type": "reformer"}, fixed)
