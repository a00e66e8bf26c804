"""The claim of RAR: three orders of training, judged in raster order."""

from __future__ import annotations

import math

import pytest
import torch

from sequary.claims import raster_loss
from sequary.claims.digits import digits, ready
from sequary.claims.experiments import claim_of
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.recipe import Recipe
from sequary.objectives.image_tokens import PermutedTokens
from tests.claims.small_digits import replace


@pytest.fixture
def claim(monkeypatch: pytest.MonkeyPatch) -> Claim:
    replace(monkeypatch)
    recipe = load("rar").recipe
    assert recipe is not None
    tiny = dict(recipe.tiny) | {f"stages__{i}__train__steps": 30 for i in (0, 1)}
    return claim_of("rar", {"system": tiny, "rows": 500, "rates": (3e-3,)})


def order(recipe: Recipe, progress: float) -> torch.Tensor:
    objective = recipe.stages[1].objective
    assert isinstance(objective, PermutedTokens)
    return objective.order.rows(20, (3, 3), torch.Generator().manual_seed(0), progress)


def test_arms_differ_in_the_order_alone(claim: Claim) -> None:
    arms = raster_loss.arms("rar", claim)
    straight = torch.arange(9).expand(20, -1)
    for progress in (0.0, 0.5, 0.999):
        assert (order(arms["raster"], progress) == straight).all()
        assert not (order(arms["random"], progress) == straight).all()
    assert not (order(arms["system"], 0.0) == straight).all()
    assert (order(arms["system"], 0.999) == straight).all()
    same = {name: recipe.but(stages__1__objective__order=None) for name, recipe in arms.items()}
    assert same["system"] == same["raster"] == same["random"]


def test_a_trial_judges_all_arms_in_raster_order(claim: Claim) -> None:
    chosen = raster_loss.tune("rar", claim)
    assert chosen == dict.fromkeys(("system", "raster", "random"), 3e-3)
    trial = raster_loss.trial("rar", claim, 0, chosen)
    assert trial.baseline == min(trial.also.values())
    assert len({trial.system, *trial.also.values()}) == 3
    assert all(map(math.isfinite, (trial.system, trial.baseline, trial.floor or math.nan)))
    vocab = 128
    assert trial.floor is not None
    assert trial.floor < math.log(vocab)


def test_validation_is_by_raster_order_and_training_is_not() -> None:
    inner = PermutedTokens(grid=(3, 3), order=raster_loss.ORDERS["random"])
    judged = raster_loss.RasterJudged(inner)
    assert judged.at(1.0).order == raster_loss.RASTER
    assert judged.at(0.5).order == raster_loss.ORDERS["random"]
    assert judged.at(0.5).progress == 0.5


def test_tokenizer_is_the_same_for_all_seeds_and_the_prior_is_not(claim: Claim) -> None:
    recipe = raster_loss.arms("rar", claim)["system"]
    (one, tokens, _), (two, again, _) = (ready(recipe, seed) for seed in (0, 1))
    assert (tokens.tokens == again.tokens).all()
    assert len(tokens) == len(digits()[0])
    assert any((a != b).any() for a, b in zip(one.parameters(), two.parameters(), strict=True))
