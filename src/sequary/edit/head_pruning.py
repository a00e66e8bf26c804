"""Head pruning (Michel, Levy & Neubig, NeurIPS 2019): the heads whose masks matter least to the loss are cut out.

I_h = E_x |∂L(x)/∂ξ_h|, ξ_h the multiplier of head h's output (eq. 2), normalised by layer (ℓ2); with c_h the head's output,
∂L/∂ξ_h = Σ_t c_h(t)·∂L/∂c_h(t). The lowest over all layers go, without retraining; each layer keeps one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from sequary.core.contracts import Model
from sequary.core.recipe import Recipe
from sequary.core.values import Batch, Edited
from sequary.edit.layers import changed, parts, stack_of
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.attention.full import Attention
from sequary.mixers.attention.projection import FULL

HEADED = (CausalAttention, Attention)


def attentions(model: nn.Module) -> list[CausalAttention | Attention]:
    return [m for m in model.modules() if isinstance(m, HEADED)]


def importance(model: Model, recipe: Recipe, calibration: Sequence[Batch], rng: torch.Generator) -> Tensor:
    """[layers, heads] mean over examples of |∂L/∂ξ_h|, L the recipe's own objective; not normalised. Eval mode."""
    mixed: list[Tensor] = []
    layers = attentions(model)
    hooks = [layer.o.register_forward_pre_hook(lambda _, args: mixed.append(args[0])) for layer in layers]
    training = model.training
    model.eval()
    scores: list[Tensor] = []
    for batch in calibration:
        for row in range(batch.values.shape[0]):
            mixed.clear()
            loss = recipe.stages[-1].objective(model, batch.map(partial(one_row, row)), rng).value
            grads = torch.autograd.grad(loss, mixed)
            heads = [(c * g).sum(1).unflatten(-1, (m.heads, -1)) for c, g, m in zip(mixed, grads, layers, strict=True)]
            scores.append(torch.stack([h.sum((0, 2)).abs() for h in heads]))
    model.train(training)
    for hook in hooks:
        hook.remove()
    return torch.stack(scores).mean(0)


def one_row(row: int, t: Tensor) -> Tensor:
    return t[row : row + 1]


def lowest(scores_LH: Tensor, drop: int) -> Tensor:
    """[L, H] bool: the `drop` lowest of scores normalised by layer, but never a layer's best."""
    normal = scores_LH / scores_LH.norm(dim=1, keepdim=True).clamp(min=1e-20)
    best = normal.argmax(1, keepdim=True)
    guarded = normal.scatter(1, best, float("inf"))
    room = int(guarded.isfinite().sum())
    if not 0 <= drop <= room:
        what = f"drop={drop}: {scores_LH.numel()} heads in {len(scores_LH)} layers, of which {room} can go"
        raise ValueError(
            f"{what}, since each layer keeps one; keep at least {1 - room / scores_LH.numel():.4g} of them"
        )
    chosen = torch.zeros(scores_LH.numel(), dtype=torch.bool)
    chosen[guarded.flatten().argsort(stable=True)[:drop]] = True
    return chosen.view_as(scores_LH)


@dataclasses.dataclass(frozen=True, slots=True)
class HeadPruning:
    """Keep the share `keep` of all heads; the least important by the loss on the calibration batches are cut out."""

    keep: float = 0.5

    def __call__(self, model: Model, recipe: Recipe, calibration: Sequence[Batch], rng: torch.Generator) -> Edited:
        refuse(recipe)  # before anything is computed
        scores = importance(model, recipe, calibration, rng)
        return cut(model, recipe, ~lowest(scores, round((1 - self.keep) * scores.numel())))


def refuse(recipe: Recipe) -> None:
    """ValueError for a model without whole heads, with the mend."""
    stack_of(recipe)
    found = list(parts(recipe))
    heads = [p for p in found if p.cls in HEADED]
    if not heads:
        others = ", ".join(dict.fromkeys(p.name for p in found))
        raise ValueError(
            f"its blocks hold {others}, and no attention with heads to cut; choose a model that has some, such as gpt"
        )
    if any(p.get("kept") is not None or p.get("ranks", FULL) != FULL for p in heads):
        raise ValueError(
            "its attention was edited before, and whole heads are needed; edit the model that it came from"
        )


def cut(model: Model, recipe: Recipe, keep_LH: Tensor) -> Edited:
    """A model without the heads where `keep_LH` is False: rows of q, k, v and columns of the output projection are sliced."""
    counts = iter(keep_LH.sum(1).tolist())
    smaller = changed(recipe, HEADED, lambda _, part: part.but(kept=next(counts)))
    made = smaller.build().to(next(model.parameters()))
    weights = dict(model.state_dict())
    names = {id(m): n for n, m in model.named_modules()}
    for layer, keep in zip(attentions(model), keep_LH, strict=True):
        rows = keep.repeat_interleave(layer.width)
        prefix = names[id(layer)]
        for name in ("q", "k", "v"):
            for leaf in ("weight", "bias"):
                if f"{prefix}.qkv.{name}.{leaf}" in weights:
                    weights[f"{prefix}.qkv.{name}.{leaf}"] = weights[f"{prefix}.qkv.{name}.{leaf}"][rows]
        weights[f"{prefix}.o.weight"] = weights[f"{prefix}.o.weight"][:, rows]
    made.load_state_dict(weights)
    before, after = (sum(p.numel() for p in m.parameters()) for m in (model, made))
    numbers = {
        "heads": float(keep_LH.numel()),
        "heads_kept": float(keep_LH.sum()),
        "params_before": before,
        "params": after,
    }
    return Edited(made.train(model.training), smaller, numbers)
