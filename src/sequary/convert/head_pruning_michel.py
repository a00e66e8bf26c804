"""pmichel31415/are-16-heads-really-better-than-1: importance, choice and removal of heads in a BERT classifier."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.postnorm import PostNorm
from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.contracts import Mixer, Model
from sequary.core.part import Part, part
from sequary.core.recipe import Recipe, Stage
from sequary.core.values import Batch
from sequary.edit.head_pruning import attentions, cut
from sequary.heads.pooled import FirstTokenClass
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP
from sequary.mixers.mlp.swish import SwishMLP
from sequary.models.text_classifier import TextClassifier, logits
from sequary.objectives.classify import Classify
from sequary.tokens.symbols import Embedding

# What the source's arguments must be; anything else changes what is computed.
PLAIN: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("gelu", "relu", "swish"),
    "at_least_x_heads_per_layer": (1, 0, None),
    "normalize_scores_by_layer": (True, False),
    "rescale_by_number": (False, True),  # by the heads already pruned: none
    "actually_prune": (True, False),
    "layer_norm_eps": (1e-12,),
}
LAYER = r"^bert\.encoder\.layer\.(\d+)\."
RULES = (
    (r"^bert\.embeddings\.word_embeddings", "tokens.table"),
    (r"^bert\.embeddings\.position_embeddings", "tokens.places"),
    (r"^bert\.embeddings\.token_type_embeddings", "kinds"),
    (r"^bert\.embeddings\.LayerNorm", "norm.norm"),
    (LAYER + r"attention\.self\.(q|k|v)\w*", r"backbone.blocks.\1.parts.0.qkv.\2"),
    (LAYER + r"attention\.output\.dense", r"backbone.blocks.\1.parts.0.o"),
    (LAYER + r"attention\.output\.LayerNorm", r"backbone.blocks.\1.norms.0.norm"),
    (LAYER + r"intermediate\.dense", r"backbone.blocks.\1.parts.1.up"),
    (LAYER + r"output\.dense", r"backbone.blocks.\1.parts.1.down"),
    (LAYER + r"output\.LayerNorm", r"backbone.blocks.\1.norms.1.norm"),
    (r"^bert\.pooler\.dense", "heads.main.pool"),
    (r"^classifier", "heads.main.out"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Loaded:
    model: Model
    recipe: Recipe


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Loaded:
    """`arguments`: BERT's sizes, num_labels, n_to_prune."""
    a, norm = arguments, part(LayerNorm, eps=1e-12)
    for name, allowed in PLAIN.items():
        if a.get(name, allowed[0]) not in allowed:
            raise Declined(f"{name}={a[name]!r}: only {allowed[0]!r} is taken over")
    block = part(PostNorm, parts=(part(Attention, heads=a["num_attention_heads"]), _mlp(a)), norm=norm)
    model = part(
        TextClassifier,
        tokens=part(Embedding, vocab=a["vocab_size"], positions=a["max_position_embeddings"]),
        backbone=part(Stack, depth=a["num_hidden_layers"], blocks=(block,)),
        head=part(FirstTokenClass, classes=a["num_labels"]),
        kinds=len(weights["bert.embeddings.token_type_embeddings.weight"]),
        norm=norm,
    )
    recipe = Recipe(dim=a["hidden_size"], model=model, stages=(Stage(objective=Classify()),))
    return Loaded(fill(recipe.build(), renamed(weights, RULES)), recipe)


def _mlp(a: Mapping[str, Any]) -> Part[Mixer]:
    hidden, act = a["intermediate_size"], a.get("hidden_act", "gelu")
    return part(SwishMLP, hidden=hidden) if act == "swish" else part(MLP, hidden=hidden, activation=act)


def replay(loaded: Loaded, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    ids = inputs["ids"]
    batch = Batch(
        values=ids,
        observed=inputs["mask"].bool() if "mask" in inputs else torch.ones_like(ids, dtype=torch.bool),
        static=inputs.get("segments"),
        target=inputs["labels"],
        positions=torch.arange(ids.shape[1]).expand_as(ids),  # the source counts padding
    )
    loss, raw = by_position(loaded, batch)
    drop = arguments.get("n_to_prune", 0)
    scores = raw / (raw.norm(dim=1, keepdim=True) + 1e-20) if arguments.get("normalize_scores_by_layer", True) else raw
    keep1 = all_but_the_best(scores, drop)
    anywhere = torch.zeros(scores.numel(), dtype=torch.long)
    anywhere[scores.flatten().argsort(stable=True)[:drop]] = 1
    return {
        "importance_raw": raw,
        "importance": scores,
        "logits": logits(loaded.model, batch),
        "loss": loss,
        "prune": anywhere.view_as(scores),
        "prune_keep1": keep1.long(),
        "logits_masked": masked(loaded.model, batch, ~keep1),
        "logits_pruned": logits(cut(loaded.model, loaded.recipe, ~keep1).model, batch),
    }


def all_but_the_best(scores_LH: Tensor, drop: int) -> Tensor:
    """[L, H] bool: the `drop` lowest, or fewer, since each layer's best stays."""
    guarded = scores_LH.scatter(1, scores_LH.argmax(1, keepdim=True), float("inf"))
    chosen = torch.zeros(scores_LH.numel(), dtype=torch.bool)
    chosen[guarded.flatten().argsort(stable=True)[: min(drop, scores_LH.numel() - len(scores_LH))]] = True
    return chosen.view_as(scores_LH)


def by_position(loaded: Loaded, batch: Batch) -> tuple[Tensor, Tensor]:
    """The loss, and [L, H] scores as the source has them: |context · gradient| at each position, summed, by real tokens (last
    layer: by examples)."""
    mixed: list[Tensor] = []
    layers = attentions(loaded.model)
    hooks = [layer.o.register_forward_pre_hook(lambda _, args: mixed.append(args[0])) for layer in layers]
    loss = Classify()(loaded.model, batch, torch.Generator()).value
    grads = torch.autograd.grad(loss, mixed)
    for hook in hooks:
        hook.remove()
    assert batch.observed is not None
    tokens, examples = float(batch.observed.sum()), float(batch.values.shape[0])
    scores = [
        (c * g).unflatten(-1, (m.heads, -1)).sum(-1).abs().sum((0, 1)) / (tokens if i < len(layers) - 1 else examples)
        for i, (c, g, m) in enumerate(zip(mixed, grads, layers, strict=True))
    ]
    return loss.detach(), torch.stack(scores)


def masked(model: Model, batch: Batch, keep_LH: Tensor) -> Tensor:
    """Logits with the other heads' outputs times 0."""
    hooks = [
        layer.o.register_forward_pre_hook(lambda _, a, k=keep, w=layer.width: (a[0] * k.repeat_interleave(w),))
        for layer, keep in zip(attentions(model), keep_LH, strict=True)
    ]
    found = logits(model, batch)
    for hook in hooks:
        hook.remove()
    return found
