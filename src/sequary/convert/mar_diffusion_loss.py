"""LTH14/mar: the head `DiffLoss` and the model `MAR`.

Longer than 200 lines because the model holds the head, and both are sampled by the source's stream of draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.contracts import Backbone
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch
from sequary.decode.guidance import UNGUIDED, Constant, Growing, Guidance
from sequary.decode.masked import MaskedGroups
from sequary.heads.diffusion import Diffusion, corrupted, reverse
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP
from sequary.models.masked_latents import MaskedLatents
from sequary.noise.gaussian import Gaussian, Steps, spread
from sequary.orders.masked import Masked

NET = (
    (r"net\.time_embed\.mlp\.0", "net.time.0"),
    (r"net\.time_embed\.mlp\.2", "net.time.1"),
    (r"net\.cond_embed", "net.cond"),
    (r"net\.input_proj", "net.first"),
    (r"net\.res_blocks", "net.blocks"),
    (r"in_ln", "norm"),
    (r"(net\.blocks\.\d+)\.mlp\.0", r"\1.up"),
    (r"(net\.blocks\.\d+)\.mlp\.2", r"\1.down"),
    (r"net\.final_layer\.linear", "net.last"),
    (r"net\.final_layer\.", "net."),
    (r"adaLN_modulation\.1", "modulation"),
)
MODEL = (
    (r"^diffloss\.", "heads.main."),
    (r"^z_proj_ln", "norm"),
    (r"^z_proj", "embed"),
    (r"^decoder_embed", "bridge"),
    (r"^(encoder|decoder)_norm", r"\1.norm.norm"),
    (r"^(encoder|decoder)_pos_embed_learned", r"\1_places"),
    (r"^diffusion_pos_embed_learned", "places"),
    (r"^mask_token", "blank"),
    (r"^(encoder|decoder)_blocks\.(\d+)\.norm1", r"\1.blocks.\2.norms.0.norm"),
    (r"^(encoder|decoder)_blocks\.(\d+)\.norm2", r"\1.blocks.\2.norms.1.norm"),
    (r"^(encoder|decoder)_blocks\.(\d+)\.attn\.proj", r"\1.blocks.\2.parts.0.o"),
    (r"^(encoder|decoder)_blocks\.(\d+)\.attn\.qkv", r"\1.blocks.\2.parts.0.qkv"),
    (r"^(encoder|decoder)_blocks\.(\d+)\.mlp\.fc1", r"\1.blocks.\2.parts.1.up"),
    (r"^(encoder|decoder)_blocks\.(\d+)\.mlp\.fc2", r"\1.blocks.\2.parts.1.down"),
)


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Diffusion | MaskedLatents:
    kept(arguments["num_sampling_steps"])  # declines early
    if source == "DiffLoss":
        a = arguments
        head = Diffusion(a["z_channels"], channels=a["target_channels"], width=a["width"], depth=a["depth"])
        return fill(head, renamed(weights, NET))
    return _model(arguments, weights)


def kept(steps: str, count: int = 1000) -> list[int]:
    """The steps that a sampler keeps: "" all, "n" evenly, "a,b" evenly in each part of the chain, "ddimN" at a whole stride."""
    if steps == "":
        return list(range(count))
    if steps.startswith("ddim"):
        wanted = int(steps.removeprefix("ddim"))
        strides = [range(0, count, i) for i in range(1, count)]
        found = next((list(s) for s in strides if len(s) == wanted), None)
        if found is None:
            raise Declined(f"num_sampling_steps={steps!r}: no whole stride gives {wanted} of {count} steps")
        return found
    parts = [int(n) for n in steps.split(",")]
    numbers: list[int] = []
    start = 0
    for i, n in enumerate(parts):
        size = count // len(parts) + (i < count % len(parts))
        numbers += [start + k for k in spread(size, n)]
        start += size
    return numbers


def _half(a: Mapping[str, Any], side: str) -> Part[Backbone]:
    norm = part(LayerNorm, eps=a.get("norm_eps", 1e-6))
    heads, depth = a[f"{side}_num_heads"], a[f"{side}_depth"]
    mlp = part(MLP, hidden=int(a[f"{side}_embed_dim"] * a.get("mlp_ratio", 4.0)))
    block = part(PreNorm, parts=(part(Attention, heads=heads), mlp), norm=norm)
    return part(Stack, depth=depth, blocks=(block,), norm=norm)


def _model(a: Mapping[str, Any], weights: Mapping[str, Tensor]) -> MaskedLatents:
    channels = a["vae_embed_dim"] * a["patch_size"] ** 2
    made = part(
        MaskedLatents,
        classes=len(weights["class_emb.weight"]),
        channels=channels,
        cells=(a["img_size"] // a["vae_stride"] // a["patch_size"]) ** 2,
        buffer=a["buffer_size"],
        encoder=_half(a, "encoder"),
        decoder=_half(a, "decoder"),
        head=part(Diffusion, channels=channels, width=a["diffloss_w"], depth=a["diffloss_d"]),
        decoder_dim=a["decoder_embed_dim"],
    )
    ours: dict[str, Tensor] = {}
    for name, value in renamed(weights, (*NET, *MODEL), r"^class_emb|^fake_latent").items():
        if ".qkv." in name:
            for letter, third in zip("qkv", value.chunk(3), strict=True):
                ours[name.replace(".qkv.", f".qkv.{letter}.")] = third
        else:
            ours[name] = value.flatten() if name == "blank" else value.squeeze(0) if name.endswith("places") else value
    ours["classes_table.weight"] = torch.cat((weights["class_emb.weight"], weights["fake_latent"]))
    return fill(made.build(Place(a["encoder_embed_dim"])), ours)


class Stream:
    """The source's normal draws, in its order."""

    def __init__(self, flat: Tensor) -> None:
        self.flat, self.at = flat, 0

    def take(self, rows: int, channels: int) -> Tensor:
        piece = self.flat[self.at : self.at + rows * channels]
        self.at += rows * channels
        return piece.view(rows, channels)


def replay(
    loaded: Diffusion | MaskedLatents, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]
) -> dict[str, Tensor]:
    chain = Gaussian().only(kept(arguments["num_sampling_steps"]))
    if isinstance(loaded, Diffusion):
        return _replay_head(loaded, chain, inputs, arguments)
    return _replay_model(loaded, chain, inputs, arguments)


def _replay_head(
    head: Diffusion, chain: Steps, inputs: Mapping[str, Tensor], a: Mapping[str, Any]
) -> dict[str, Tensor]:
    x, z, step, noise = (inputs[n] for n in ("target", "z", "t", "noise"))
    x_t = corrupted(head.noise.chain(head.noise.count), x, step, noise)
    mse, bits = head.terms(z, x, step, noise)
    mask = inputs.get("mask", torch.ones_like(mse))
    return {
        "x_t": x_t,
        "net": head.net(x_t, step, z),
        "mse": mse,
        "vb": bits,
        "loss": ((mse + bits) * mask).sum() / mask.sum(),
        "sample": _sample(head, chain, z, a["cfg"], a["temperature"], Stream(inputs["sample_noise"]), a["cfg"] != 1.0),
    }


@torch.no_grad()
def _sample(
    head: Diffusion, chain: Steps, z: Tensor, weight: float, temperature: float, stream: Stream, guides: bool
) -> Tensor:
    """With guidance z holds the rows with a class, then without. Both halves read the ε of the first one's path, as in the source."""
    rows = len(z)
    started: list[bool] = []

    def draw() -> Tensor:
        if started or not guides:
            started.append(True)
            return stream.take(rows, head.channels)
        started.append(True)
        return stream.take(rows // 2, head.channels).repeat(2, 1)

    def predict(x: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        if not guides:
            return head.predict(x, step, z)
        eps, v = head.predict(x[: rows // 2].repeat(2, 1), step, z)
        given, without = eps.chunk(2)
        return (without + weight * (given - without)).repeat(2, 1), v

    return reverse(chain, predict, draw, temperature)


def _replay_model(
    model: MaskedLatents, chain: Steps, inputs: Mapping[str, Tensor], a: Mapping[str, Any]
) -> dict[str, Tensor]:
    head, side, times = model.head, a["patch_size"], a["diffusion_batch_mul"]
    assert isinstance(head, Diffusion)
    x = rearrange(inputs["imgs"], "b c (h p) (w q) -> b (h w) (c p q)", p=side, q=side)
    mask = inputs["mask"]
    output = model(Batch(values=x, observed=mask < 0.5, cond=inputs["labels"]))
    z, target = (v.flatten(0, 1).repeat(times, 1) for v in (output.hidden, x.detach()))
    weight = mask.flatten().repeat(times)
    mse, bits = head.terms(z, target, inputs["t"], inputs["noise"])
    stream = Stream(inputs["gen_noise"])

    def draw(given: Tensor, without: Tensor | None, w: float) -> Tensor:
        rows = given.flatten(0, 1) if without is None else torch.cat((given, without)).flatten(0, 1)
        drawn = _sample(head, chain, rows, 1.0 if without is None else w, a["temperature"], stream, without is not None)
        return drawn[: given.shape[:2].numel()].unflatten(0, given.shape[:2])

    height = inputs["imgs"].shape[2] // side
    decoder = MaskedGroups(grid=(height, height), order=Masked(a["num_iter"]), guidance=_guidance(a))
    latents, _ = decoder.run(model, model, inputs["labels"], inputs["order"], draw)
    return {
        "encoder": output.extra["encoded"],
        "z": output.hidden,
        "loss": ((mse + bits) * weight).sum() / weight.sum(),
        "generated": rearrange(latents, "b (h w) (c p q) -> b c (h p) (w q)", h=height, p=side, q=side),
    }


def _guidance(a: Mapping[str, Any]) -> Guidance:
    if a["cfg"] == 1.0:
        return UNGUIDED
    if a["cfg_schedule"] == "linear":
        return Growing(a["cfg"])
    if a["cfg_schedule"] == "constant":
        return Constant(a["cfg"])
    raise Declined(f"cfg_schedule={a['cfg_schedule']!r}: the source has linear and constant")
