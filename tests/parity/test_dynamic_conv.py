"""Options of fairseq's convolutions that no stored case has."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sequary.convert.declined import Declined
from sequary.convert.dynamic_conv import load, replay


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_values_and_kernels_of_one_projection() -> None:
    """in_proj: the same as a projection of the values, with kernels from what it reads."""
    weight, bias, x = drawn(8 + 2 * 3, 8), drawn(8 + 2 * 3, seed=1), drawn(7, 2, 8, seed=2)
    core = {"input_size": 8, "kernel_size": 3, "padding_l": 2, "num_heads": 2, "weight_softmax": True}
    joint, apart = {**core, "in_proj": True}, {**core, "bias": True}
    both = load("DynamicConv1dTBC", joint, {"weight_linear.weight": weight, "weight_linear.bias": bias})
    alone = load("DynamicConv1dTBC", apart, {"weight_linear.weight": weight[8:], "weight_linear.bias": bias[8:]})
    values = x @ weight[:8].T + bias[:8]
    wanted = replay(alone, {"x": values, "query": x}, apart)["y"]
    torch.testing.assert_close(replay(both, {"x": x}, joint)["y"], wanted)


def test_a_decoder_layer_reads_the_encoder() -> None:
    a = {"embed_dim": 8, "conv_type": "dynamic", "attention_heads": 2, "ffn_embed_dim": 12, "kernel_size": 3}
    sizes = {"linear1": (16, 8), "linear2": (8, 8), "fc1": (12, 8), "fc2": (8, 12)}
    sizes |= {f"encoder_attn.{n}": (8, 8) for n in ("q_proj", "k_proj", "v_proj", "out_proj")}
    weights = {f"{n}.weight": drawn(*s) for n, s in sizes.items()} | {
        f"{n}.bias": drawn(s[0]) for n, s in sizes.items()
    }
    weights["conv.weight_linear.weight"] = drawn(2 * 3, 8)
    for norm in ("conv_layer_norm", "encoder_attn_layer_norm", "final_layer_norm"):
        weights |= {f"{norm}.weight": drawn(8), f"{norm}.bias": drawn(8)}
    layer = load("LightConvDecoderLayer", a, weights)
    x, memory = drawn(5, 2, 8), drawn(4, 2, 8, seed=3)
    padding = torch.tensor([[False, False, True, True]] * 2)
    cut = replay(layer, {"x": x, "encoder_out": memory[:2]}, a)["y"]
    masked = replay(layer, {"x": x, "encoder_out": memory, "encoder_padding_mask": padding}, a)["y"]
    torch.testing.assert_close(masked, cut)
    assert (cut - replay(layer, {"x": x, "encoder_out": memory}, a)["y"]).abs().max() > 1e-3


def test_what_the_source_cannot_compute_is_declined() -> None:
    layer = {"embed_dim": 8, "conv_type": "dynamic", "attention_heads": 2, "ffn_embed_dim": 12, "kernel_size": 4}
    with pytest.raises(Declined, match="kernel_size=4"):
        load("LightConvEncoderLayer", layer, {})
    with pytest.raises(Declined, match="padding_l=None"):
        load("LightweightConv1dTBC", {"input_size": 8, "kernel_size": 3}, {})
