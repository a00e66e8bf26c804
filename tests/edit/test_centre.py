"""Pre-LN models rewritten with RMS norms: what stays the same, and what is refused."""

from __future__ import annotations

import pytest
import torch

from sequary.blocks.norms import LayerNorm
from sequary.blocks.postnorm import PostNorm
from sequary.core.part import part
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.edit.centre import PreCRMSNorm, PreRMSNorm, host
from sequary.mixers.attention.sized import SizedAttention
from sequary.mixers.mlp.dense import MLP


@pytest.mark.parametrize("edit", [PreRMSNorm(), PreCRMSNorm()])
def test_logits_stay_as_they_were(edit: PreRMSNorm | PreCRMSNorm) -> None:
    torch.manual_seed(0)
    recipe, ids = host(), Batch(values=torch.arange(10).view(2, 5) % 5)
    model = recipe.build().double().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight += torch.randn_like(weight)
    made = edit(model, recipe, (), torch.Generator()).model
    assert not any(isinstance(m, LayerNorm) for m in made.modules())
    said, again = (m.head(m(ids).hidden) for m in (model, made))
    torch.testing.assert_close(again, said, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model__backbone__blocks": (part(PostNorm, parts=(part(MLP, hidden=8),)),)}, "PostNorm"),
        ({"model__backbone__blocks__0__norm": part(LayerNorm)}, "affine=False"),
        ({"model__backbone__norm": None}, "affine=False"),
        ({"model__backbone__blocks__0__parts": (part(SizedAttention), part(MLP))}, "hidden"),
    ],
)
def test_what_reads_the_mean_is_refused(changes: dict[str, object], reason: str) -> None:
    recipe: Recipe = host().but(**changes)
    with pytest.raises(ValueError, match=reason):
        PreRMSNorm()(recipe.build(), recipe, (), torch.Generator())
