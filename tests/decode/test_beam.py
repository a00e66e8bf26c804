"""Beam search: a wide one finds the likeliest of all sequences, a narrow one is greedy, and scores are the model's own."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.values import Batch
from sequary.decode.beam import Beam
from sequary.decode.choice import Likeliest
from sequary.decode.stepwise import Stepwise

VOCAB = 4


def tiny(name: str, seed: int = 0) -> Model:
    recipe = load(name).recipe
    assert recipe is not None
    torch.manual_seed(seed)
    small = recipe.bind({"vocab": VOCAB}).shrunk()
    if name in ("gpt", "gla"):  # their tiny form says a vocabulary of its own
        small = small.but(model__tokens__vocab=VOCAB, model__head__vocab=VOCAB)
    model = small.build().double().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return model


def prompt(rows: int, seed: int = 0) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    source = torch.randint(VOCAB, (rows, 6), generator=rng)
    return Batch(values=torch.randint(VOCAB, (rows, 5), generator=rng), source=source)


def log_p(model: Model, given: Batch, row: int, tokens: Tensor) -> Tensor:
    """[N] of the symbols after the prompt in `tokens` [N, T], by one forward pass."""
    assert given.source is not None
    source = given.source[row].expand(len(tokens), -1)
    with torch.no_grad():
        logits = model.head(model(Batch(values=tokens[:, :-1], source=source)).hidden)
    each = logits.log_softmax(-1).gather(-1, tokens[:, 1:, None])[..., 0]
    return each[:, given.values.shape[1] - 1 :].sum(1)


HOSTS = ["gpt", "gla", "megabyte", "deep-encoder-shallow-decoder"]


@pytest.mark.parametrize("host", HOSTS)
def test_a_beam_as_wide_as_all_beginnings_finds_the_likeliest(host: str) -> None:
    model, given, new = tiny(host), prompt(2), 3
    found = Beam(new=new, width=VOCAB ** (new - 1))(model, given, torch.Generator())
    every = torch.tensor(list(itertools.product(range(VOCAB), repeat=new)))
    for row in range(2):
        tokens = torch.cat((given.values[row].expand(len(every), -1), every), 1)
        chance = log_p(model, given, row, tokens)
        assert torch.equal(found.raw[row], tokens[chance.argmax()])
        assert torch.allclose(found.trace[0]["log_p"][row], chance.max())


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("width", [2, 5])
def test_scores_are_the_models_and_rows_do_not_meet(host: str, width: int) -> None:
    model, given = tiny(host), prompt(3)
    found = Beam(new=9, width=width)(model, given, torch.Generator())
    assert found.calls == 9
    for row in range(3):
        assert torch.allclose(found.trace[0]["log_p"][row], log_p(model, given, row, found.raw[row : row + 1])[0])
        alone = Beam(new=9, width=width)(model, given.map(lambda t, r=row: t[r : r + 1]), torch.Generator())
        assert torch.equal(alone.raw[0], found.raw[row])


def test_a_beam_of_one_is_greedy() -> None:
    model, given, rng = tiny("gpt"), prompt(3), torch.Generator()
    greedy = Stepwise(new=12, choice=Likeliest())(model, given, rng)
    assert torch.equal(Beam(new=12, width=1)(model, given, rng).raw, greedy.raw)


def test_padding_of_the_prompt_changes_nothing() -> None:
    model, given, rng = tiny("megabyte"), prompt(2), torch.Generator()
    wide = torch.cat((torch.ones(2, 3, dtype=torch.long), given.values), 1)
    padded = Batch(values=wide, observed=torch.arange(8).expand(2, 8) >= 3)
    assert torch.equal(Beam(new=8)(model, padded, rng).raw[:, 3:], Beam(new=8)(model, given, rng).raw)


def ended(row: list[int], end: int) -> list[int]:
    return row[: row.index(end) + 1] if end in row else row


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_with_an_end_the_best_finished_or_full_sequence_wins(alpha: float) -> None:
    """Against all sequences that stop at the first `end`, written out."""
    new, end = 3, 2
    for seed in range(4):
        model, given = tiny("gpt", seed), prompt(1, seed)
        every = {tuple(ended(list(s), end)) for s in itertools.product(range(VOCAB), repeat=new)}
        best, written = float("-inf"), ()
        for one in sorted(every):
            tokens = torch.cat((given.values[0], torch.tensor(one)))[None]
            score = log_p(model, given, 0, tokens).item() / ((5 + len(one)) / 6) ** alpha
            best, written = max((best, written), (score, one))
        found = Beam(new=new, width=VOCAB**new, end=end, alpha=alpha)(model, given, torch.Generator()).raw[0, 5:]
        assert found.tolist() == [*written, *[end] * (new - len(written))]


def test_it_stops_when_all_are_finished_and_fills_up() -> None:
    model, given = tiny("gpt"), prompt(2)
    likeliest = Beam(new=1, width=1)(model, given, torch.Generator()).raw[:1, -1:]
    one = given.map(lambda t: t[:1])
    found = Beam(new=20, width=1, end=int(likeliest))(model, one, torch.Generator())
    assert found.calls == 1
    assert found.raw[0, 5:].tolist() == [int(likeliest)] * 20


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="width=0"):
        Beam(width=0)
