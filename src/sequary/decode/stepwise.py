"""One symbol a call: the plain decoder of a language model, and the reference of the faster ones."""

from __future__ import annotations

import dataclasses

import torch

from sequary.core.contracts import Model
from sequary.core.ctx import Ctx
from sequary.core.values import Batch, Sample
from sequary.decode.choice import Choice, Drawn


@dataclasses.dataclass(frozen=True, slots=True)
class Stepwise:
    """`new` symbols after the prompt [B, T] (left-padded where `observed` is False), each chosen from the main head's logits."""

    new: int = 64
    choice: Choice = Drawn()

    @torch.no_grad()
    def __call__(self, model: Model, prompt: Batch, rng: torch.Generator) -> Sample:
        tokens, state = prompt.values, model.init_state(prompt)
        output, state = model.step(tokens, state, Ctx(mask=prompt.token_mask))
        for call in range(1, self.new + 1):
            chosen = self.choice(model.head(output.hidden[:, -1]), rng)[:, None]
            tokens = torch.cat((tokens, chosen), 1)
            if call < self.new:
                output, state = model.step(chosen, state)
        return Sample(tokens, self.new)
