"""Blockwise decoding gives greedy's output, whatever the heads propose, and saves calls where they are right."""

from __future__ import annotations

import pytest
import torch

from sequary.backbones.stack import Stack
from sequary.blocks.prenorm import PreNorm
from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.part import part
from sequary.core.values import Batch
from sequary.decode.blockwise import Blockwise, TopRanked, Within
from sequary.decode.choice import Drawn, Likeliest
from sequary.decode.stepwise import Stepwise
from sequary.mixers.mlp.swiglu import SwiGLU


def tiny(seed: int = 0) -> Model:
    recipe = load("blockwise-parallel-decoding").recipe
    assert recipe is not None
    torch.manual_seed(seed)
    return recipe.bind({"vocab": 7}).shrunk().build().double().eval()


def trained() -> Model:
    """Heads that know a sequence which counts upwards modulo 7."""
    recipe = load("blockwise-parallel-decoding").recipe
    assert recipe is not None
    torch.manual_seed(0)
    model = recipe.bind({"vocab": 7}).shrunk().build()
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    objective = recipe.stages[0].objective
    for _ in range(60):
        start = torch.randint(0, 7, (16, 1))
        row = (start + torch.arange(17)) % 7
        optimiser.zero_grad()
        objective(model, Batch(values=row[:, :-1], target=row[:, 1:]), torch.Generator()).value.backward()
        optimiser.step()
    return model.eval()


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("new", [1, 2, 5, 40])
def test_the_output_is_greedys(rows: int, new: int) -> None:
    rng = torch.Generator().manual_seed(0)
    for seed in range(3):
        model = tiny(seed)
        prompt = Batch(values=torch.randint(0, 7, (rows, 4), generator=rng))
        greedy = Stepwise(new=new, choice=Likeliest())(model, prompt, rng)
        blocks = Blockwise(new=new)(model, prompt, rng)
        assert torch.equal(blocks.raw, greedy.raw)
        assert sum(t["accepted"] for t in blocks.trace) == new


def test_a_padded_prompt_gives_the_same() -> None:
    rng = torch.Generator().manual_seed(1)
    model, prompt = tiny(), torch.randint(0, 7, (2, 4), generator=rng)
    padded = torch.cat((torch.zeros(2, 3, dtype=torch.long), prompt), 1)
    mask = torch.arange(7).expand(2, 7) >= 3
    plain = Blockwise(new=20)(model, Batch(values=prompt), rng).raw
    assert torch.equal(Blockwise(new=20)(model, Batch(values=padded, observed=mask), rng).raw[:, 3:], plain)


def test_heads_that_know_save_calls() -> None:
    model, rng = trained(), torch.Generator().manual_seed(0)
    prompt = Batch(values=torch.tensor([[3, 4, 5]]))
    sample = Blockwise(new=40)(model, prompt, rng)
    assert torch.equal(sample.raw[0], (3 + torch.arange(43)) % 7)
    assert sample.calls <= 1 + 40 // 4 + 1
    assert Stepwise(new=40, choice=Likeliest())(model, prompt, rng).calls == 40


def test_a_state_that_cannot_go_back_costs_a_call_and_nothing_else() -> None:
    """The accepted symbols are then run again from the state before."""
    from sequary.mixers.linear.gla import GatedLinearAttention

    recipe = load("blockwise-parallel-decoding").recipe
    assert recipe is not None
    block = part(PreNorm, parts=(part(GatedLinearAttention, heads=2), part(SwiGLU)))
    torch.manual_seed(0)
    model = recipe.bind({"vocab": 7}).shrunk().but(model__backbone=part(Stack, depth=2, blocks=(block,))).build()
    model = model.double().eval()
    rng = torch.Generator().manual_seed(0)
    prompt = Batch(values=torch.randint(0, 7, (1, 4), generator=rng))
    assert torch.equal(
        Blockwise(new=30)(model, prompt, rng).raw, Stepwise(new=30, choice=Likeliest())(model, prompt, rng).raw
    )


def test_relaxed_acceptance_takes_longer_blocks() -> None:
    rng = torch.Generator().manual_seed(0)
    model, prompt = tiny(), Batch(values=torch.tensor([[1, 2, 3]]))
    exact = Blockwise(new=40)(model, prompt, rng).calls
    assert Blockwise(new=40, accept=TopRanked(4))(model, prompt, rng).calls <= exact
    assert Blockwise(new=40, accept=Within(6))(model, prompt, rng).calls < exact
    assert Blockwise(new=40, least=4)(model, prompt, rng).calls == 1 + 40 // 4


def test_drawing_keeps_to_its_limits() -> None:
    logits = torch.tensor([[3.0, 2.0, 1.0, 0.0]]).expand(4000, 4)
    rng = torch.Generator().manual_seed(0)
    assert set(Drawn(top_k=2)(logits, rng).tolist()) == {0, 1}
    assert set(Drawn(top_p=0.5)(logits, rng).tolist()) == {0}
    counts = torch.bincount(Drawn()(logits, rng), minlength=4) / 4000
    assert torch.allclose(counts, logits[0].softmax(-1), atol=0.03)
    with pytest.raises(ValueError, match="temperature must be above 0"):
        Drawn(temperature=0)


def test_causal_attention_can_go_back() -> None:
    model = tiny()
    values = torch.randint(0, 7, (2, 9), generator=torch.Generator().manual_seed(2))
    state = model.step(values, model.init_state(Batch(values=values)))[1]
    back = state.rewind(5)
    again = model.step(values[:, 5:], back)[0].hidden
    assert torch.allclose(again, model(Batch(values=values)).hidden[:, 5:])
