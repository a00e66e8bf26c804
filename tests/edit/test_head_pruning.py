"""Pruned heads are gone from the weights, and the model computes what the masked one does."""

from __future__ import annotations

import pytest
import torch

from sequary.backbones.stack import Stack
from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.contracts import Model
from sequary.core.part import Tied, part
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.edit.head_pruning import HeadPruning, attentions, cut, importance, lowest
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.linear.gla import GatedLinearAttention
from sequary.mixers.mlp.swiglu import SwiGLU

BLOCK = part(PreNorm, parts=(part(CausalAttention, heads=4, bias=True), part(SwiGLU)))
RECIPE = language_model(dim=32, depth=2, blocks=(BLOCK,), vocab=11)


def model() -> Model:
    torch.manual_seed(0)
    return RECIPE.build().double().eval()


def batch() -> Batch:
    ids = torch.randint(0, 11, (3, 13), generator=torch.Generator().manual_seed(0))
    return Batch(values=ids[:, :-1], target=ids[:, 1:])


def masked(net: Model, keep: torch.Tensor) -> torch.Tensor:
    """The logits with the outputs of the other heads multiplied by 0."""
    hooks = [
        layer.o.register_forward_pre_hook(lambda _, a, k=k, w=layer.width: (a[0] * k.repeat_interleave(w),))
        for layer, k in zip(attentions(net), keep, strict=True)
    ]
    logits = net.head(net(batch()).hidden)
    for hook in hooks:
        hook.remove()
    return logits


def test_the_sliced_model_equals_the_masked_one() -> None:
    net, keep = model(), torch.tensor([[True, False, True, False], [False, False, False, True]])
    edited = cut(net, RECIPE, keep)
    assert torch.allclose(edited.model.head(edited.model(batch()).hidden), masked(net, keep), atol=1e-12)
    assert edited.numbers["params"] < edited.numbers["params_before"]
    assert [a.heads for a in attentions(edited.model)] == [2, 1]


def test_importance_is_the_derivative_by_the_mask() -> None:
    net, one = model(), batch().map(lambda t: t[:1])
    keep = torch.ones(2, 4, dtype=torch.double, requires_grad=True)
    hooks = [
        layer.o.register_forward_pre_hook(lambda _, a, k=keep[i], w=layer.width: (a[0] * k.repeat_interleave(w),))
        for i, layer in enumerate(attentions(net))
    ]
    RECIPE.stages[0].objective(net, one, torch.Generator()).value.backward()
    for hook in hooks:
        hook.remove()
    assert keep.grad is not None
    assert torch.allclose(importance(net, RECIPE, [one], torch.Generator()), keep.grad.abs(), atol=1e-12)


def test_each_layer_keeps_its_best() -> None:
    scores = torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.1, 0.1, 0.1, 9.0]])
    assert lowest(scores, 6).sum(1).tolist() == [3, 3]
    assert lowest(scores, 3)[1].tolist() == [True, True, True, False]
    with pytest.raises(ValueError, match="6 can go"):
        lowest(scores, 7)


def test_the_edit_leaves_its_input_alone_and_round_trips() -> None:
    net = model()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    edited = HeadPruning(keep=0.5)(net, RECIPE, [batch()], torch.Generator())
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    again = Recipe.from_json(edited.recipe.to_json()).build().double()
    again.load_state_dict(edited.model.state_dict())
    assert torch.equal(again(batch()).hidden, edited.model(batch()).hidden)
    assert edited.numbers["heads_kept"] == 4


def test_tied_layers_are_refused() -> None:
    looped = RECIPE.but(model__backbone=part(Stack, depth=2, blocks=(Tied("b", BLOCK),)))
    with pytest.raises(ValueError, match="tied blocks"):
        HeadPruning()(looped.build(), looped, [batch()], torch.Generator())


def test_a_model_without_whole_heads_is_refused_with_the_mend() -> None:
    headless = RECIPE.but(model__backbone__blocks__0__parts=(part(GatedLinearAttention, heads=2), part(SwiGLU)))
    with pytest.raises(ValueError, match="hold GatedLinearAttention, SwiGLU, and no attention with heads to cut"):
        HeadPruning()(headless.build(), headless, [batch()], torch.Generator())
    once = HeadPruning()(model(), RECIPE, [batch()], torch.Generator())
    with pytest.raises(ValueError, match="edited before"):
        HeadPruning()(once.model, once.recipe, [batch()], torch.Generator())
    with pytest.raises(ValueError, match=r"keep at least 0\.25 of them"):
        HeadPruning(keep=0.1)(model(), RECIPE, [batch()], torch.Generator())
