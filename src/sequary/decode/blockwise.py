"""Blockwise parallel decoding (Stern, Shazeer & Uszkoreit, NeurIPS 2018): propose k symbols, verify them in one call.

Heads p_1 … p_k predict the next k symbols. Predict: y_{n+i} = argmax p_i(· | y_1..y_n). Verify: the longest prefix whose every
symbol p_1 would itself have produced after the ones before it. Accept it, and repeat. Verification of one round and the
proposals of the next come from the same call (section 4), so that a round costs one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from sequary.core.contracts import Head, Model
from sequary.core.ctx import Ctx
from sequary.core.state import State
from sequary.core.values import Batch, Sample


class Accept(Protocol):
    def __call__(self, logits: Tensor, proposed: Tensor) -> Tensor:
        """[B, t, V] of the main head, [B, t] proposed symbols -> [B, t] bool."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Exact:
    """Only what greedy decoding gives: the output equals it (section 5)."""

    def __call__(self, logits: Tensor, proposed: Tensor) -> Tensor:
        return logits.argmax(-1) == proposed


@dataclasses.dataclass(frozen=True, slots=True)
class TopRanked:
    """One of the `n` likeliest (section 5.1)."""

    n: int = 2

    def __call__(self, logits: Tensor, proposed: Tensor) -> Tensor:
        return (logits.topk(self.n).indices == proposed[..., None]).any(-1)


@dataclasses.dataclass(frozen=True, slots=True)
class Within:
    """At most `distance` from the likeliest, for ordinal symbols such as intensities (section 5.2)."""

    distance: int = 2

    def __call__(self, logits: Tensor, proposed: Tensor) -> Tensor:
        return (logits.argmax(-1) - proposed).abs() <= self.distance


@dataclasses.dataclass(frozen=True, slots=True)
class Blockwise:
    """`new` symbols; at least `least` of each block are taken unseen (section 5.3; 1 = none). Rows of a batch advance together."""

    new: int = 64
    accept: Accept = Exact()
    least: int = 1

    @torch.no_grad()
    def __call__(self, model: Model, prompt: Batch, rng: torch.Generator) -> Sample:
        heads = [h for h in model.heads.values() if isinstance(h, Head)]
        tokens, calls = prompt.values, 1
        output, state = model.step(tokens, model.init_state(prompt), Ctx(mask=prompt.token_mask))
        block = propose(heads, output.hidden[:, -1])
        trace: list[Mapping[str, Any]] = []
        while True:
            left = self.new - (tokens.shape[1] - prompt.values.shape[1])
            output, after = model.step(block[:, :left], state)
            calls += 1
            taken = self.taken(heads[0], output.hidden, block[:, :left])
            tokens = torch.cat((tokens, block[:, :taken]), 1)
            trace.append({"accepted": taken})
            if taken == left:
                return Sample(tokens, calls, tuple(trace))
            state, extra = settle(model, state, after, block[:, :taken], tokens.shape[1])
            calls += extra
            block = propose(heads, output.hidden[:, taken - 1])

    def taken(self, main: Head, hidden_BtD: Tensor, block: Tensor) -> int:
        """How many symbols of the block all rows accept: the first is the main head's own, the others are verified."""
        good = self.accept(main(hidden_BtD[:, :-1]), block[:, 1:])
        run = 1 + int(good.cumprod(1).sum(1).min()) if block.shape[1] > 1 else 1
        return min(block.shape[1], max(run, self.least))


def propose(heads: list[Head], hidden_BD: Tensor) -> Tensor:
    """[B, k]: the likeliest symbol of each head."""
    return torch.stack([head(hidden_BD).argmax(-1) for head in heads], 1)


def settle(model: Model, before: State, after: State, accepted: Tensor, length: int) -> tuple[State, int]:
    """The state after the accepted symbols, and the calls it cost: a cache is cut, a compressed state is advanced once more."""
    if after.can_rewind():
        return after.rewind(length), 0
    return model.step(accepted, before)[1], 1
