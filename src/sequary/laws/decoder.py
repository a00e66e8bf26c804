"""Laws of decoders: what they draw is what the model says, and they count their calls."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sequary.core.contracts import Model
from sequary.core.values import Batch, Sample
from sequary.laws.host import HostCase, unchanged
from sequary.laws.law import Law, finite, held

ROWS = 4000


def prompt(case: HostCase, rows: int) -> Batch:
    """Five tokens, different in each row; or `toy["prompt"](rows)`."""
    make = case.subject.toy.get("prompt")
    if make is not None:
        return make(rows)
    whole = case.batch(rows, 0)
    return Batch(values=whole.values[:, :5])


def sampled(case: HostCase, model: Model, given: Batch, seed: int = 0) -> Sample:
    with torch.no_grad():
        return case.make()(model, given, torch.Generator().manual_seed(seed))


def repeats(case: HostCase) -> None:
    """The same generator gives the same sample, finite; model and prompt stay as they are."""
    model, given = case.model(), prompt(case, 3)
    with unchanged(model, given):
        first, again = sampled(case, model, given), sampled(case, model, given)
    held(torch.equal(first.raw, again.raw), "the same generator gives another sample")
    finite(first.raw.double(), "sample")
    held(first.calls > 0, "says that it never called the model")


def keeps_prompt(case: HostCase) -> None:
    """The prompt stands at the start of what comes out, and as many new tokens follow as `toy["new"]` says."""
    model, given = case.model(), prompt(case, 3)
    raw, length = sampled(case, model, given).raw, given.values.shape[1]
    held(raw.shape[0] == 3 and torch.equal(raw[:, :length], given.values), "the prompt is not the start of the sample")
    new = case.subject.toy["new"]
    held(raw.shape[1] == length + new, f"{raw.shape[1] - length} new tokens, expected {new}")


def calls(case: HostCase) -> None:
    """`Sample.calls` is the number of times that the model ran (forward or step)."""
    model, given = case.model(), prompt(case, 2)
    counted, forward, step = 0, model.forward, model.step

    def count(of: Any) -> Any:
        def run(*args: Any, **kw: Any) -> Any:
            nonlocal counted
            counted += 1
            return of(*args, **kw)

        return run

    model.forward, model.step = count(forward), count(step)
    said = sampled(case, model, given).calls
    held(said == counted, f"says {said} calls, the model ran {counted} times")


def exact(case: HostCase) -> None:
    """Draws follow the model: greedy ones take its likeliest token each time; samples have its joint chances (two tokens)."""
    model = case.model()
    if case.subject.toy["exact"] == "greedy":
        given = prompt(case, 6)
        raw, length = sampled(case, model, given).raw, given.values.shape[1]
        for t in range(length, raw.shape[1]):
            likeliest = next_logits(model, raw[:, :t]).argmax(-1)
            held(
                torch.equal(raw[:, t], likeliest),
                f"new token {t - length + 1} is not the likeliest after those before it",
            )
        return
    given = prompt(case, 1).map(lambda t: t.expand(ROWS, *t.shape[1:]))
    drawn = sampled(case, model, given).raw[:, given.values.shape[1] :][:, :2]
    held(drawn.shape[1] == 2, "an exact decoder must be tiny with two new tokens or more")
    _same_chances(drawn, _joint(model, given.values[:1]))


def next_logits(model: Model, tokens: Tensor) -> Tensor:
    with torch.no_grad():
        return model.head(model(Batch(values=tokens)).hidden[:, -1])


def _joint(model: Model, start: Tensor) -> Tensor:
    """[V, V] chances of the next two tokens."""
    first = next_logits(model, start).softmax(-1)[0]
    both = torch.cat((start.expand(len(first), -1), torch.arange(len(first))[:, None]), 1)
    return first[:, None] * next_logits(model, both).softmax(-1)


def _same_chances(drawn: Tensor, chance: Tensor) -> None:
    vocab = len(chance)
    seen = torch.bincount(drawn[:, 0] * vocab + drawn[:, 1], minlength=vocab * vocab).double()
    expected = ROWS * chance.flatten().double()
    often = expected > 5  # the chi-square approximation wants a few of each; the rest is one cell
    seen = torch.cat((seen[often], seen[~often].sum()[None]))
    expected = torch.cat((expected[often], expected[~often].sum()[None].clamp(min=1.0)))
    square, k = ((seen - expected).square() / expected).sum().item(), len(seen) - 1
    limit = k + 4 * (2 * k) ** 0.5 + 4  # exceeded less than once in a thousand
    held(square < limit, f"samples do not have the model's chances: chi-square {square:.0f} for {k} degrees of freedom")


def is_exact(case: HostCase) -> bool:
    return "exact" in case.subject.toy


def counts_new(case: HostCase) -> bool:
    return "new" in case.subject.toy


LAWS = (
    Law(name="sample", contract="decoder", catches="a sample that its generator does not decide", check=repeats),
    Law(
        name="prompt",
        contract="decoder",
        catches="a decoder that drops the last token",
        check=keeps_prompt,
        applies=counts_new,
    ),
    Law(name="calls", contract="decoder", catches="calls that are not counted", check=calls),
    Law(
        name="exact", contract="decoder", catches="another distribution than the model's", check=exact, applies=is_exact
    ),
)
