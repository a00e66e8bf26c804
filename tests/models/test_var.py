"""VAR: scales that see the coarser ones alone, and decoding that says what training says."""

from __future__ import annotations

import dataclasses

import torch

from sequary.core.values import Batch
from sequary.decode.choice import Drawn, Likeliest
from sequary.decode.guidance import UNGUIDED, Growing, guided
from sequary.decode.scales import ScaleByScale
from sequary.models.next_scale import NextScale
from sequary.objectives.image_tokens import NextGroup, Reconstruct
from sequary.systems.generation.var import SIDES, VOCAB
from sequary.tokens.multiscale_vq import MultiScaleVQ
from tests.models import generation

TOKENS = sum(n * n for n in SIDES)


def parts() -> tuple[generation.Tokenized, MultiScaleVQ, NextScale]:
    model = generation.model("var")
    assert isinstance(model.tokenizer, MultiScaleVQ)
    assert isinstance(model.prior, NextScale)
    return model, model.tokenizer, model.prior


def logits(codes: torch.Tensor, cond: torch.Tensor) -> torch.Tensor:
    model, tokenizer, _ = parts()
    return model.head(model(Batch(values=tokenizer.inputs(codes), cond=cond)).hidden)


def test_it_trains() -> None:
    generation.trains("var")


def test_it_samples() -> None:
    generation.samples("var")


def test_teacher_forced_logits_are_those_of_decoding_scale_by_scale() -> None:
    model, _, _ = parts()
    cond = torch.tensor([0, 2])
    prompt = Batch(values=torch.zeros(2, 0), cond=cond)
    sample = ScaleByScale(choice=Drawn(), guidance=UNGUIDED)(model, prompt, generation.rng())
    assert sample.calls == len(SIDES)
    codes = torch.cat([t["codes"] for t in sample.trace], 1)
    torch.testing.assert_close(logits(codes, cond), torch.cat([t["logits"] for t in sample.trace], 1))


def test_guidance_grows_with_the_scale() -> None:
    model, _, prior = parts()
    cond = torch.tensor([0, 2])
    prompt = Batch(values=torch.zeros(2, 0), cond=cond)
    sample = ScaleByScale(choice=Likeliest(), guidance=Growing(3.0))(model, prompt, generation.rng())
    codes = torch.cat([t["codes"] for t in sample.trace], 1)
    both = torch.cat((logits(codes, cond), logits(codes, torch.full_like(cond, prior.classes))))
    expected = [guided(g, 1 + 2 * k / (len(SIDES) - 1)) for k, g in enumerate(both.split([n * n for n in SIDES], 1))]
    torch.testing.assert_close(torch.cat([t["logits"] for t in sample.trace], 1), torch.cat(expected, 1))


def test_logits_of_a_scale_do_not_read_its_codes_or_finer_ones() -> None:
    codes = torch.randint(VOCAB, (2, TOKENS), generator=generation.rng())
    other = torch.randint(VOCAB, (2, TOKENS), generator=generation.rng(1))
    cond, start = torch.tensor([0, 1]), 0
    base = logits(codes, cond)
    for n in SIDES:
        changed = logits(torch.cat((codes[:, :start], other[:, start:]), 1), cond)
        stop = start + n * n
        torch.testing.assert_close(changed[:, :stop], base[:, :stop], rtol=0, atol=1e-10)
        if stop < TOKENS:
            assert (changed[:, stop:] - base[:, stop:]).abs().max() > 1e-6, "finer scales read this one"
        start = stop


def test_contexts_from_decoded_groups_are_the_inputs_of_training() -> None:
    _, tokenizer, _ = parts()
    codes = torch.randint(VOCAB, (2, TOKENS), generator=generation.rng())
    inputs, groups = tokenizer.groups(codes), tokenizer.groups(tokenizer.inputs(codes))
    assert not groups[0].any()
    for k in range(1, len(SIDES)):
        torch.testing.assert_close(tokenizer.context(inputs[:k], k), groups[k])


def test_each_scale_codes_what_the_coarser_ones_leave() -> None:
    """With a codebook that holds the residuals exactly at the last scale, nothing is left."""
    _, tokenizer, _ = parts()
    f = torch.randn(1, 16, 7, 7, generator=generation.rng(), dtype=torch.float64)
    codes, hats = tokenizer.quantise(f)
    assert [c.shape[1] for c in codes] == [n * n for n in SIDES]
    rest = f - hats[-2]
    nearest = tokenizer.codebook.nearest(rest.flatten(2).transpose(1, 2))
    assert torch.equal(nearest, codes[-1])
    torch.testing.assert_close(tokenizer.picture(hats[-1]), tokenizer.decode(torch.cat(codes, 1)))


def test_dropping_every_label_is_the_unconditional_loss() -> None:
    model, _, _ = parts()
    batch = generation.batch()
    dropped = NextGroup(drop=1.0)(model, batch, generation.rng()).value
    free = NextGroup(drop=0.0)(model, dataclasses.replace(batch, cond=None), generation.rng()).value
    assert torch.equal(dropped, free)
    assert not torch.equal(dropped, NextGroup(drop=0.0)(model, batch, generation.rng()).value)


def test_rows_are_independent() -> None:
    model, _, _ = parts()
    batch = generation.batch(3)
    whole = model(batch).hidden
    torch.testing.assert_close(model(batch.map(lambda t: t[1:2])).hidden, whole[1:2])


def test_the_tokenizer_learns_to_rebuild_images() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = generation.recipe("var").build()
    batch, generator = generation.Images().batch(torch.arange(12)), generation.rng()
    optimiser = torch.optim.Adam(model.get_submodule("tokenizer").parameters(), lr=5e-3)
    errors: list[float] = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = Reconstruct()(model, batch, generator)
        loss.value.backward()
        optimiser.step()
        errors.append(loss.terms["error"].item())
    assert min(errors[-5:]) < 0.5 * errors[0]
