"""Factorised attention and thinned feed-forwards: exact where nothing is lost, smaller as stated, rebuilt from the recipe."""

from __future__ import annotations

import pytest
import torch

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.contracts import Model
from sequary.core.part import part
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.edit.lorap import LoRAP, kept_channels
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.dense import MLP
from sequary.mixers.mlp.swiglu import SwiGLU
from sequary.ops.lowrank import truncated, weighted

BLOCK = part(PreNorm, parts=(part(CausalAttention, heads=4, bias=True), part(SwiGLU)))
RECIPE = language_model(dim=32, depth=2, blocks=(BLOCK,), vocab=11)


def model() -> Model:
    torch.manual_seed(0)
    return RECIPE.build().double().eval()


def batch() -> Batch:
    ids = torch.randint(0, 11, (3, 13), generator=torch.Generator().manual_seed(0))
    return Batch(values=ids[:, :-1], target=ids[:, 1:])


def test_full_rank_changes_nothing() -> None:
    w = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    for left, right in (truncated(w, 4), weighted(w, torch.tensor([1e-4, 1.0, 5.0, 2.0], dtype=torch.double), 4)):
        assert torch.allclose(left @ right, w)
    assert LoRAP(keep=1.0).kept(88) == 88
    assert LoRAP(keep=2.0, tilt=1.0).ranks(32) == (32, 32, 32, 32)


def test_the_weighted_factors_are_better_on_such_inputs() -> None:
    rng = torch.Generator().manual_seed(0)
    size = torch.logspace(-1, 1, 24, dtype=torch.double)
    w, x = (
        torch.randn(16, 24, generator=rng, dtype=torch.double),
        torch.randn(500, 24, generator=rng, dtype=torch.double),
    )
    x = x * size
    errors = [
        float((x @ (w - left @ right).T).square().mean()) for left, right in (truncated(w, 5), weighted(w, size, 5))
    ]
    assert errors[1] < 0.8 * errors[0]


@pytest.mark.parametrize("keep", [0.25, 0.5, 0.75])
def test_size_falls_as_stated_and_the_recipe_rebuilds_it(keep: float) -> None:
    net = model()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    edited = LoRAP(keep=keep)(net, RECIPE, [batch()], torch.Generator())
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    inner = sum(v.numel() for k, v in before.items() if ".parts." in k and k.endswith("weight"))
    left = sum(v.numel() for k, v in edited.model.state_dict().items() if ".parts." in k and k.endswith("weight"))
    assert left / inner == pytest.approx(keep, abs=0.03)
    again = Recipe.from_json(edited.recipe.to_json()).build().double()
    again.load_state_dict(edited.model.state_dict())
    assert torch.equal(again(batch()).hidden, edited.model(batch()).hidden)


def test_more_kept_is_nearer() -> None:
    net = model()
    whole = net(batch()).hidden.detach()
    gaps = [
        float((LoRAP(keep=k)(net, RECIPE, [batch()], torch.Generator()).model(batch()).hidden.detach() - whole).norm())
        for k in (0.3, 0.6, 0.9)
    ]
    assert gaps[0] > gaps[1] > gaps[2]


def test_the_very_lowest_channels_stay() -> None:
    scores = torch.arange(20.0).flip(0)
    assert kept_channels(scores, 0.5, 0.1).tolist() == [*range(8), 18, 19]


@pytest.mark.parametrize("keep", [0.02, 0.04, 0.3])
def test_the_width_stated_is_the_width_left(keep: float) -> None:
    edit = LoRAP(keep=keep, least=0.05)
    assert edit.kept(88) == len(kept_channels(torch.arange(88.0), 1 - keep, 0.05))


def refusal(recipe: Recipe, edit: LoRAP = LoRAP()) -> str:
    with pytest.raises(ValueError) as caught:
        edit(recipe.build(), recipe, [batch()], torch.Generator())
    return str(caught.value)


def test_what_does_not_fit_is_refused_with_the_mend() -> None:
    other = RECIPE.but(model__backbone__blocks__0__parts=(part(CausalAttention, heads=4), part(MLP)))
    assert "its blocks hold MLP, and only softmax attention and SwiGLU" in refusal(other)
    alone = RECIPE.but(model__backbone__blocks__0__parts=(part(CausalAttention, heads=4),))
    assert "no SwiGLU to thin" in refusal(alone)
    once = LoRAP()(model().float(), RECIPE, [batch()], torch.Generator()).recipe
    assert "edited before" in refusal(once)
    assert "leaves none of 88 channels" in refusal(RECIPE, LoRAP(keep=0.001))
