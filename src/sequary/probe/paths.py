"""An attention stack as a sum over paths: one head, or the skip, in each layer (Dong et al., 2021, section 2.2).

With the attention matrices P of the forward pass, x ← x + Σ_h P_h x W_v^h W_o^h expands into Σ over paths of the product of the
chosen terms; the sum over all (H + 1)^L paths is the forward pass. No norms, no feed-forwards, no biases.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.blocks.norms import NoNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.contracts import Model
from sequary.core.ctx import Tape
from sequary.core.part import part
from sequary.core.recipe import Recipe, Stage
from sequary.core.values import Batch, Reading
from sequary.heads.pooled import FirstTokenClass
from sequary.mixers.attention.full import Attention
from sequary.models.text_classifier import TextClassifier
from sequary.objectives.classify import Classify
from sequary.tokens.symbols import Embedding

Path = tuple[int | None, ...]
"""A head for each layer; None is the skip."""


def term(layer: Attention, attention_BHTT: Tensor, x_BTD: Tensor, head: int | None) -> Tensor:
    """The share of one head, or of the skip, in a layer's output."""
    if head is None:
        return x_BTD
    v, o = layer.qkv.v, layer.o
    assert isinstance(v, nn.Linear)
    assert isinstance(o, nn.Linear)
    rows = slice(head * layer.width, (head + 1) * layer.width)
    return attention_BHTT[:, head] @ x_BTD @ v.weight[rows].T @ o.weight[:, rows].T


def layers(model: Model) -> list[Attention]:
    """The attentions of a stack that is nothing but attention and skips, or a TypeError that names what else there is."""
    found: list[Attention] = []
    for block in model.get_submodule("backbone.blocks").children():
        parts = list(block.parts) if isinstance(block, PreNorm) else []
        plain = isinstance(block, PreNorm) and all(isinstance(n, NoNorm) for n in block.norms)
        if not plain or len(parts) != 1 or not isinstance(parts[0], Attention) or parts[0].qkv.v.bias is not None:
            raise TypeError(
                f"paths need blocks PreNorm(parts=(Attention(bias=False),), norm=NoNorm()); this one is {block}"
            )
        found.append(parts[0])
    return found


def attention_alone() -> Recipe:
    """The smallest host: two layers of attention and skips."""
    block = part(PreNorm, parts=(part(Attention, heads=2, bias=False),), norm=part(NoNorm))
    model = part(
        TextClassifier,
        tokens=part(Embedding, vocab=5, positions=40),
        backbone=part(Stack, depth=2, blocks=(block,)),
        head=part(FirstTokenClass, classes=2),
    )
    return Recipe(dim=16, model=model, stages=(Stage(objective=Classify()),))


@dataclasses.dataclass(frozen=True, slots=True)
class Paths:
    """The reading's tensors: "0-skip-1" and so on, a path's share [B, T, D] of the last layer's output; all paths if none named."""

    toy: ClassVar[Mapping[str, Any]] = {"host": attention_alone}
    paths: tuple[Path, ...] = ()

    @torch.no_grad()
    def __call__(self, model: Model, batches: Sequence[Batch]) -> Reading:
        stack, tape, start = layers(model), Tape("attention"), list[Tensor]()
        hook = model.get_submodule("backbone.blocks.0").register_forward_pre_hook(lambda _, a: start.append(a[0]))
        for batch in batches:
            model(batch, tape=tape)
        hook.remove()
        depth, x = len(stack), torch.cat(start)
        seen = [torch.cat(tape.entries["attention"][layer::depth]) for layer in range(depth)]
        options = [(None, *range(layer.heads)) for layer in stack]
        shares: dict[str, Tensor] = {}
        for path in self.paths or tuple(itertools.product(*options)):
            y = x
            for layer, attention, head in zip(stack, seen, path, strict=True):
                y = term(layer, attention, y, head)
            shares["-".join("skip" if h is None else str(h) for h in path)] = y
        return Reading(shares, {"paths": float(len(shares))})
