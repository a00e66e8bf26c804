"""Beam search: the `width` likeliest beginnings are kept, and each call continues them all."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from sequary.core.contracts import Model
from sequary.core.ctx import Ctx
from sequary.core.values import Batch, Sample


@dataclasses.dataclass(frozen=True, slots=True)
class Beam:
    """`new` symbols after the prompt [B, T]: of the beginnings that it kept, each row's best. Nothing is drawn.

    A beginning that reaches `end` is finished: it keeps its place and its score, and is filled up with `end`. Among the `width` that
    remain, the best has the greatest Σ log p / ((5 + n) / 6)^`alpha`, n its new symbols, the first `end` included (Wu et al., arXiv
    1609.08144, eq. 14, without coverage); the search itself compares Σ log p. Stops early where all are finished. The trace holds
    "log_p" [B] of what is returned.
    """

    new: int = 64
    width: int = 4
    end: int | None = None
    alpha: float = 0.0

    tiny: ClassVar[Mapping[str, Any]] = {"new": 3, "width": 3}
    toy: ClassVar[Mapping[str, Any]] = {"new": 3}

    def __post_init__(self) -> None:
        if self.new < 1 or self.width < 1:
            raise ValueError(f"new={self.new}, width={self.width}: both must be at least 1")

    @torch.no_grad()
    def __call__(self, model: Model, prompt: Batch, rng: torch.Generator) -> Sample:
        rows, calls = prompt.values.shape[0], 1
        output, state = model.step(prompt.values, model.init_state(prompt), Ctx(mask=prompt.token_mask))
        first = torch.arange(rows, device=prompt.values.device).repeat_interleave(self.width)
        tokens, state, hidden = prompt.values[first], state.select(first), output.hidden[first, -1]
        # One beginning a row at first, or all would be the same.
        scores = torch.full((rows, self.width), float("-inf"), dtype=hidden.dtype, device=hidden.device)
        scores[:, 0] = 0
        done = torch.zeros_like(tokens[:, 0], dtype=torch.bool)
        for left in reversed(range(self.new)):
            scores, kept, chosen = self.best(scores, self.further(model.head(hidden), done))
            tokens, done = torch.cat((tokens[kept], chosen[:, None]), 1), done[kept] | self.ends(chosen)
            if left == 0 or bool(done.all()):
                break
            output, state = model.step(chosen[:, None], state.select(kept))
            hidden, calls = output.hidden[:, -1], calls + 1
        return self.winners(tokens, scores, prompt.values.shape[1], calls)

    def ends(self, symbols: Tensor) -> Tensor:
        return torch.zeros_like(symbols, dtype=torch.bool) if self.end is None else symbols == self.end

    def further(self, logits: Tensor, done: Tensor) -> Tensor:
        """[B·W, V] log p of each continuation; a finished beginning has one, `end`, at no cost."""
        log_p = logits.log_softmax(-1)
        if self.end is None:
            return log_p
        only = torch.full_like(log_p, float("-inf"))
        only[:, self.end] = 0
        return torch.where(done[:, None], only, log_p)

    def best(self, scores_BW: Tensor, log_p: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The new scores [B, W], which beginnings they continue [B·W], and by which symbols [B·W]."""
        rows, width = scores_BW.shape
        every = (scores_BW[..., None] + log_p.view(rows, width, -1)).flatten(1)
        scores, index = every.topk(width)
        vocab = log_p.shape[-1]
        beam = index // vocab + width * torch.arange(rows, device=index.device)[:, None]
        return scores, beam.flatten(), (index % vocab).flatten()

    def winners(self, tokens: Tensor, scores_BW: Tensor, start: int, calls: int) -> Sample:
        rows, width = scores_BW.shape
        written = tokens[:, start:]
        length = (~self.ends(written)).sum(1).add(1).clamp(max=written.shape[1]).view(rows, width)
        best = (scores_BW / ((5 + length) / 6) ** self.alpha).argmax(1)
        row = torch.arange(rows, device=tokens.device)
        found = tokens.view(rows, width, -1)[row, best]
        rest = self.new - written.shape[1]
        if rest:  # only where all were finished
            assert self.end is not None
            found = torch.cat((found, found.new_full((rows, rest), self.end)), 1)
        return Sample(found, calls, ({"log_p": scores_BW[row, best]},))
