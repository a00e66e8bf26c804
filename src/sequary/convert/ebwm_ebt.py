"""alexiglad/EBT: `EBT_NLP`, energies, refined logits, loss and its second-order gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.backbones.candidate_streams import CandidateStreams
from sequary.blocks.norms import RMSNorm
from sequary.convert.declined import Declined
from sequary.convert.ebwm_ebt_variants import NORMS, TYPES, Variant
from sequary.convert.weights import fill, renamed
from sequary.core.part import part
from sequary.core.place import Place
from sequary.core.values import Batch
from sequary.mixers.mlp.swiglu import SwiGLU
from sequary.models.energy import EnergyModel

EPS = 1e-5
LAYER = r"^transformer\.layers\.(\d+)\."
RULES = (
    (r"^embeddings\.", "tokens.table."),
    (r"^vocab_to_embed\.", "candidates."),
    (LAYER + r"attention\.w([qkv])", r"backbone.qkv.\1.\2"),
    (LAYER + r"attention\.wo", r"backbone.o.\1"),
    (LAYER + r"attention_norm", lambda m: f"backbone.norms.{2 * int(m[1])}.norm"),
    (LAYER + r"ffn_norm", lambda m: f"backbone.norms.{2 * int(m[1]) + 1}.norm"),
    (LAYER + r"feed_forward\.w1", r"backbone.mlp.\1.gate"),
    (LAYER + r"feed_forward\.w2", r"backbone.mlp.\1.down"),
    (LAYER + r"feed_forward\.w3", r"backbone.mlp.\1.up"),
    (r"^transformer\.norm", "backbone.norms.-1.norm"),
    (r"^transformer\.final_layer", "energy_of"),
)
# What the source's arguments must be; anything else computes something that a re-run of the case would not show.
KNOWN: dict[str, tuple[Any, ...]] = {
    "ebt_type": TYPES,
    "randomize_mcmc_num_steps": (0,),
    "num_modality_processing_mlp_layers": (1,),
    "learnable_process_memory": (False,),
    "denoising_initial_condition": ("random_noise", "zeros"),
    "gaussian_random_noise_scaling": (1.0,),
}
# What our energy model computes; the other known values are the source's own arithmetic, in ebwm_ebt_variants.
PLAIN: dict[str, Any] = {
    "ebt_type": "default",
    "vocab_to_embed_uses_prob_dist": False,
    "clamp_futures_grad": False,
    "absolute_clamp": 0.0,
    "sharpen_predicted_distribution": 0.0,
    "contrastive_loss": False,
}


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> EnergyModel | Variant:
    """Our model where it computes what the arguments say, otherwise the source's arithmetic."""
    a = {"ebt_type": "default"} | dict(arguments)
    for name, allowed in KNOWN.items():
        if a.get(name, allowed[0]) not in allowed:
            raise Declined(f"{name}={a[name]!r}: known are {', '.join(map(repr, allowed))}")
    if a["ebt_type"] == "time_embed" and a.get("ebt_norm", "rms") not in NORMS:
        raise Declined(f"ebt_norm={a['ebt_norm']!r}: known are {', '.join(NORMS)}")
    detached = a.get("truncate_mcmc", False) and a.get("no_mcmc_detach", False)
    if detached or any(a.get(name, plain) != plain for name, plain in PLAIN.items()):
        return Variant({k: v.clone().requires_grad_(v.is_floating_point()) for k, v in weights.items()}, a)
    return _plain(a, weights)


def _plain(a: Mapping[str, Any], weights: Mapping[str, Tensor]) -> EnergyModel:
    width, heads = a["embedding_dim"], a["multiheaded_attention_heads"]
    if width % (2 * heads):
        raise Declined(f"multiheaded_attention_heads={heads}: heads of odd or unequal width in embedding_dim={width}")
    first = 1 if a.get("normalize_initial_condition_only_first_step", False) else a["mcmc_num_steps"]
    normed = first if a.get("normalize_initial_condition", True) else 0
    hidden = int(width * a["ffn_dim_multiplier"]) if a.get("ffn_dim_multiplier") else width
    depth = a["num_transformer_blocks"]
    model = part(
        EnergyModel,
        vocab=a["vocab_size"],
        backbone=part(
            CandidateStreams, depth=depth, heads=heads, mlp=part(SwiGLU, hidden=hidden), norm=part(RMSNorm, eps=EPS)
        ),
        steps=a["mcmc_num_steps"],
        noise=max(1e-6, float(weights["langevin_dynamics_noise_std"])) if a.get("langevin_dynamics_noise") else 0.0,
        through=a.get("no_mcmc_detach", False),
        normed=normed,
    ).build(Place(width))
    ours = renamed(weights, RULES, r"langevin_dynamics_noise_std")
    ours[f"backbone.norms.{2 * depth}.norm.weight"] = ours.pop("backbone.norms.-1.norm.weight")
    for layer in range(depth):
        for name in ("q", "k"):
            key = f"backbone.qkv.{layer}.{name}.weight"
            ours[key] = ours[key][halves(width, heads)]
    return fill(model, ours)


def halves(width: int, heads: int) -> Tensor:
    """The source turns neighbouring pairs, ours the first half with the second: rows of q and k in our order."""
    inside = torch.arange(width // heads).view(-1, 2).T.flatten()
    return (torch.arange(heads)[:, None] * (width // heads) + inside).flatten()


def replay(
    loaded: EnergyModel | Variant, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]
) -> dict[str, Tensor]:
    if isinstance(loaded, Variant):
        return _replay_variant(loaded, inputs, arguments)
    ids = inputs["ids"]
    batch, target = Batch(values=ids[:, :-1]), ids[:, 1:]
    blank = arguments.get("denoising_initial_condition") == "zeros"
    start = loaded.start(batch, None) if blank else inputs["init"].clone()
    path = loaded.refine(batch, start, None, learn=True, jolts=inputs.get("langevin"))
    loss = _loss([p.logits.flatten(0, 1) for p in path], target.flatten(), arguments)
    ours = dict(loaded.named_parameters())
    asked = {name: ours[mine] for name, mine in _names(arguments["num_transformer_blocks"]).items()}
    grads = torch.autograd.grad(loss, list(asked.values()), retain_graph=True, materialize_grads=True)
    order = halves(arguments["embedding_dim"], arguments["multiheaded_attention_heads"]).argsort()
    turned = (".wq.weight", ".wk.weight")
    found = {f"lossgrad.{n}": g[order] if n.endswith(turned) else g for n, g in zip(asked, grads, strict=True)}
    steps = {f"{what}{i}": getattr(p, what) for i, p in enumerate(path) for what in ("energy", "logits")}
    return {"loss": loss, **steps, **found}


def _replay_variant(loaded: Variant, inputs: Mapping[str, Tensor], a: Mapping[str, Any]) -> dict[str, Tensor]:
    ids, target = inputs["ids"][:, :-1], inputs["ids"][:, 1:]
    blank = a.get("denoising_initial_condition") == "zeros"
    start = torch.zeros(*ids.shape, a["vocab_size"], dtype=loaded.w["alpha"].dtype) if blank else inputs["init"].clone()
    path = loaded.refine(ids, start, inputs.get("langevin"))
    loss = _loss([logits.flatten(0, 1) for _, logits in path], target.flatten(), a)
    if a.get("contrastive_loss", False):
        loss = loss + a["contrastive_loss_coeff"] * loaded.contrast(ids, target, path[-1][0])
    asked = {k: v for k, v in loaded.w.items() if v.requires_grad}
    grads = torch.autograd.grad(loss, list(asked.values()), retain_graph=True, materialize_grads=True)
    steps = {
        f"{what}{i}": value
        for i, pair in enumerate(path)
        for what, value in zip(("energy", "logits"), pair, strict=True)
    }
    return {"loss": loss, **steps, **{f"lossgrad.{n}": g for n, g in zip(asked, grads, strict=True)}}


def _loss(logits: Sequence[Tensor], target: Tensor, a: Mapping[str, Any]) -> Tensor:
    """Mean over inner steps, or the last one's if truncated; labels are smoothed less from step to step. Symbol 0 is padding."""
    last = len(logits) - 1
    soft = [a.get("soften_target_prob_dist", 0.0) * (last - i) / max(1, last) for i in range(last + 1)]
    losses = [F.cross_entropy(y, target, ignore_index=0, label_smoothing=s) for y, s in zip(logits, soft, strict=True)]
    return a.get("reconstruction_coeff", 1.0) * (
        losses[-1] if a.get("truncate_mcmc", False) else torch.stack(losses).mean()
    )


def _names(depth: int) -> dict[str, str]:
    """Parameters of the source and ours."""
    inside = {
        "attention.wq": "qkv.{}.q",
        "attention.wk": "qkv.{}.k",
        "attention.wv": "qkv.{}.v",
        "attention.wo": "o.{}",
    }
    inside |= {
        f"feed_forward.{theirs}": f"mlp.{{}}.{leaf}" for theirs, leaf in (("w1", "gate"), ("w2", "down"), ("w3", "up"))
    }
    layers = {
        f"transformer.layers.{i}.{theirs}": f"backbone.{mine.format(i)}"
        for i in range(depth)
        for theirs, mine in inside.items()
    }
    for i in range(depth):
        layers[f"transformer.layers.{i}.attention_norm"] = f"backbone.norms.{2 * i}.norm"
        layers[f"transformer.layers.{i}.ffn_norm"] = f"backbone.norms.{2 * i + 1}.norm"
    layers |= {"transformer.norm": f"backbone.norms.{2 * depth}.norm", "transformer.final_layer": "energy_of"}
    layers |= {"embeddings": "tokens.table", "vocab_to_embed": "candidates"}
    return {f"{theirs}.weight": f"{mine}.weight" for theirs, mine in layers.items()} | {"alpha": "alpha"}
