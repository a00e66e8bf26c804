"""Options of the authors' code that no golden holds: each against another way to the same numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sequary.convert import mar_diffusion_loss, rar, var
from sequary.convert.declined import Declined
from sequary.convert.source import read_weights

GOLDENS = Path(__file__).parents[1] / "parity" / "goldens"


def case(slug: str, name: str) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    path = GOLDENS / slug / f"{name}.json"
    tensors = read_weights(path.with_suffix(".safetensors"))
    halves = ({k[len(p) :]: v for k, v in tensors.items() if k.startswith(p)} for p in ("w.", "in.", "out."))
    weights, inputs, outputs = halves
    return json.loads(path.read_text(encoding="utf-8"))["arguments"], weights, inputs, outputs


def var_logits(arguments: dict[str, Any], weights: dict[str, Tensor], inputs: dict[str, Tensor]) -> Tensor:
    return var.replay(var.load("VAR", arguments, weights), inputs, arguments)["logits"]


def test_var_shared_adaptive_norm_equals_the_same_map_in_every_layer() -> None:
    arguments, weights, inputs, _ = case("var", "a2")
    own, shared = dict(weights), {k: v for k, v in weights.items() if ".ada_lin." not in k or k.startswith("head_nm")}
    table = torch.randn(2, 6, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for i in range(2):
        own[f"blocks.{i}.ada_lin.1.weight"] = weights["blocks.0.ada_lin.1.weight"]
        own[f"blocks.{i}.ada_lin.1.bias"] = weights["blocks.0.ada_lin.1.bias"] + table[i].flatten()
        shared[f"blocks.{i}.ada_gss"] = table[i][None, None]
    for kind in ("weight", "bias"):
        shared[f"shared_ada_lin.1.{kind}"] = weights[f"blocks.0.ada_lin.1.{kind}"]
    a = var_logits({**arguments, "shared_aln": True}, shared, inputs)
    torch.testing.assert_close(a, var_logits(arguments, own, inputs))


def test_var_cosine_attention_reads_its_scales() -> None:
    arguments, weights, inputs, _ = case("var", "a2")
    arguments = {**arguments, "attn_l2_norm": True}
    made = {**weights, **{f"blocks.{i}.attn.scale_mul_1H11": torch.zeros(1, 4, 1, 1).double() for i in range(2)}}
    base = var_logits(arguments, made, inputs)
    made["blocks.1.attn.scale_mul_1H11"] = torch.full((1, 4, 1, 1), 9.0).double()
    clamped = var_logits(arguments, made, inputs)
    made["blocks.1.attn.scale_mul_1H11"] = torch.full((1, 4, 1, 1), 99.0).double()
    assert (clamped - base).abs().max() > 1e-3
    assert torch.equal(var_logits(arguments, made, inputs), clamped), "at most 100"


@pytest.mark.parametrize("share", [0, 1, 3])
def test_var_refining_convolutions_that_are_all_equal_are_shared_however(share: int) -> None:
    arguments, weights, inputs, _ = case("var", "a1")
    one = {k: weights[f"quantize.quant_resi.qresi_ls.0.{k}"] for k in ("weight", "bias")}
    bare = {k: v for k, v in weights.items() if "quant_resi" not in k}
    four = bare | {f"quantize.quant_resi.qresi_ls.{i}.{k}": v for i in range(4) for k, v in one.items()}
    names = {0: [str(i) for i in range(4)], 1: ["qresi"], 3: [f"qresi_ls.{i}" for i in range(3)]}[share]
    other = bare | {f"quantize.quant_resi.{n}.{k}": v for n in names for k, v in one.items()}
    source = "VQVAE (VectorQuantizer2)"
    a, b = (
        var.replay(var.load(source, {**arguments, "share_quant_resi": s}, w), inputs, arguments)
        for s, w in ((4, four), (share, other))
    )
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_var_cosine_lookup_ignores_the_length_of_codes() -> None:
    arguments, weights, inputs, _ = case("var", "a1")
    arguments = {**arguments, "using_znorm": True, "quant_resi": 0.0}
    bare = {k: v for k, v in weights.items() if "quant_resi" not in k}
    longer = {**bare, "quantize.embedding.weight": bare["quantize.embedding.weight"] * 2}
    source = "VQVAE (VectorQuantizer2)"
    a, b = (var.replay(var.load(source, arguments, w), inputs, arguments) for w in (bare, longer))
    assert torch.equal(a["idx0"], b["idx0"])
    torch.testing.assert_close(b["fhat0"], 2 * a["fhat0"])


def test_guided_sampling_between_equal_conditions_is_plain_sampling() -> None:
    arguments, weights, inputs, outputs = case("mar-diffusion-loss", "a1")
    rows, noise = 6, inputs["sample_noise"].view(9, 6, 4)
    stream = torch.cat((noise[0].flatten(), noise[1:].repeat(1, 2, 1).flatten()))
    twice = {**inputs, "sample_noise": stream}
    head = mar_diffusion_loss.load("DiffLoss", arguments, weights)
    z, plain = inputs["z"].repeat(2, 1), ("target", "t", "noise")
    twice |= {"z": z, **{n: torch.cat((inputs[n], inputs[n])) for n in plain}}
    both = mar_diffusion_loss.replay(head, twice, {**arguments, "cfg": 3.0})["sample"]
    torch.testing.assert_close(both[:rows], outputs["sample"], rtol=0, atol=1e-9)


def test_steps_that_a_sampler_keeps() -> None:
    assert mar_diffusion_loss.kept("4") == [0, 333, 666, 999]
    assert mar_diffusion_loss.kept("") == list(range(1000))
    assert mar_diffusion_loss.kept("2,3") == [0, 499, 500, 750, 999]
    assert mar_diffusion_loss.kept("ddim50") == list(range(0, 1000, 20))
    with pytest.raises(Declined, match="num_sampling_steps='ddim70'"):
        mar_diffusion_loss.kept("ddim70")


def test_what_cannot_be_replayed_is_declined_by_name() -> None:
    arguments, weights, _, _ = case("var", "a2")
    with pytest.raises(Declined, match="top_k=5"):
        var.load("VAR", {**arguments, "top_k": 5}, weights)
    arguments, weights, inputs, _ = case("mar-diffusion-loss", "a2")
    model = mar_diffusion_loss.load("MAR", arguments, weights)
    with pytest.raises(Declined, match="cfg_schedule='cosine'"):
        mar_diffusion_loss.replay(model, inputs, {**arguments, "cfg": 2.0, "cfg_schedule": "cosine"})


def test_rar_without_guidance_is_the_conditional_model() -> None:
    arguments, weights, inputs, _ = case("rar", "a1")
    model = rar.load("RAR", arguments, weights)
    out = rar.replay(model, inputs, {**arguments, "guidance_scale": 0.0})
    forced = rar.replay(model, {**inputs, "ids": out["gen_ids"]}, arguments)["logits_raster"]
    torch.testing.assert_close(out["gen_logits"], forced[:, :-1])
