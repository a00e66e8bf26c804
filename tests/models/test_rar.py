"""RAR: any order in training, raster in decoding, and target positions that merge away."""

from __future__ import annotations

import dataclasses

import torch

from sequary.core.values import Batch
from sequary.decode.choice import Drawn
from sequary.decode.guidance import UNGUIDED, Constant, PowerCosine, guided
from sequary.decode.raster import CodeByCode
from sequary.models.permuted import PermutedCodes
from sequary.models.tokenized import Tokenized
from sequary.objectives.image_tokens import PermutedTokens
from sequary.orders.permuted import Permuted
from sequary.systems.generation.rar import VOCAB
from sequary.train.hooks import Progressive
from tests.models import generation

GRID, CELLS = (7, 7), 49


def parts() -> tuple[Tokenized, PermutedCodes]:
    model = generation.model("rar")
    assert isinstance(model.prior, PermutedCodes)
    return model, model.prior


def codes(seed: int = 0, rows: int = 2) -> torch.Tensor:
    return torch.randint(VOCAB, (rows, CELLS), generator=generation.rng(seed))


def logits(prior: PermutedCodes, ids: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
    return prior.head(prior(Batch(values=ids, order=known, cond=torch.arange(len(ids)))).hidden)


def test_it_trains() -> None:
    generation.trains("rar")


def test_it_samples() -> None:
    generation.samples("rar")


def test_teacher_forced_logits_are_those_of_decoding_code_by_code() -> None:
    model, prior = parts()
    cond = torch.tensor([0, 1])
    for order in (Permuted(), Permuted(start=1.0, stop=1.5)):  # raster; and an order that stays random to the end
        decode = CodeByCode(grid=GRID, order=order, choice=Drawn(), guidance=UNGUIDED)
        sample = decode(model, Batch(values=torch.zeros(2, 0), cond=cond), generation.rng())
        known = order.plan(GRID, generation.rng()).order(2, CELLS)
        chosen = torch.cat([t["codes"] for t in sample.trace], 1).gather(1, known)
        decoded = torch.cat([t["logits"] for t in sample.trace], 1).gather(1, known[..., None].expand(-1, -1, VOCAB))
        torch.testing.assert_close(logits(prior, chosen, known), decoded)
        torch.testing.assert_close(sample.raw, model.tokenizer.decode(chosen))


def test_a_cell_reads_exactly_the_cells_before_it_in_the_order() -> None:
    _, prior = parts()
    order = torch.randperm(CELLS, generator=generation.rng(3)).expand(2, -1)
    known, ids, other = order.argsort(1), codes(), codes(1)
    base = logits(prior, ids, known)
    for count in (0, 1, 20, 48):
        changed = logits(prior, torch.where(known >= count, other, ids), known)
        same = known[0] <= count
        torch.testing.assert_close(changed[:, same], base[:, same], rtol=0, atol=1e-10)
        assert ((changed - base)[:, ~same].abs().amax(-1) > 1e-9).all()


def test_merged_and_unmerged_positions_give_equal_logits_in_raster_order() -> None:
    _, prior = parts()
    merged = prior.merged()
    ids = codes()
    torch.testing.assert_close(logits(merged, ids), logits(prior, ids), rtol=0, atol=1e-12)
    assert not merged.targets.any()
    assert prior.targets.any(), "the model that came in stays"
    mixed = torch.randperm(CELLS, generator=generation.rng(3)).expand(2, -1)
    assert (logits(merged, ids, mixed) - logits(prior, ids, mixed)).abs().max() > 1e-3


def test_the_target_position_tells_which_cell_is_asked() -> None:
    """Two orders that agree on what is known and differ in what comes next give different predictions; without targets, the same."""
    _, prior = parts()
    ids, a = codes(), torch.arange(CELLS).expand(2, -1).clone()
    b = a.clone()
    b[:, [10, 40]] = b[:, [40, 10]]
    cond = torch.tensor([0, 1])

    def after_ten(order: torch.Tensor) -> torch.Tensor:
        return prior.sequence(ids.gather(1, order[:, :10]), cond, order)[:, -1]

    assert (after_ten(a) - after_ten(b)).abs().max() > 1e-3
    with torch.no_grad():
        prior.targets.zero_()
    torch.testing.assert_close(after_ten(a), after_ten(b))


def test_the_objective_anneals() -> None:
    model, _ = parts()
    objective = generation.recipe("rar").stages[1].objective
    assert isinstance(objective, Progressive)
    batch = generation.batch()
    early, late = (objective.at(p)(model, batch, generation.rng()).value for p in (0.0, 1.0))
    assert not torch.equal(early, late)
    raster = PermutedTokens(grid=GRID, order=Permuted(0.0, 0.0))(model, batch, generation.rng()).value
    assert torch.equal(late, raster)


def test_steps_of_any_split_equal_forward() -> None:
    model, prior = parts()
    ids = codes()
    known = torch.randperm(CELLS, generator=generation.rng(3)).expand(2, -1)
    order, batch = known.argsort(1), Batch(values=ids, order=known, cond=torch.tensor([0, 1]))
    whole = prior(batch).hidden.gather(1, order[..., None].expand(-1, -1, 16))
    for split in ((0, 1, 5, 42), (3, 45), (0,) + (1,) * 48):
        state, out = model.init_state(dataclasses.replace(batch, values=ids[:, :0])), list[torch.Tensor]()
        for piece in ids.gather(1, order)[:, : sum(split)].split(split, 1):
            output, state = model.step(piece, state)
            out.append(output.hidden)
        torch.testing.assert_close(torch.cat(out, 1), whole[:, : sum(split) + 1])


def test_guidance() -> None:
    both = torch.tensor([[1.0, 2.0], [0.5, 0.0]])
    assert torch.equal(guided(both, 1.0), both[:1])
    assert torch.equal(guided(both, Constant(3.0).weight(0.2)), torch.tensor([[2.0, 6.0]]))
    assert PowerCosine(4.0, 2.0).weight(0.0) == 1
    assert abs(PowerCosine(4.0, 2.0).weight(1.0) - 4) < 1e-12
