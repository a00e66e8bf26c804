"""Masked prediction: what the model sees, and what counts."""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.core.ctx import Tape
from sequary.core.part import part
from sequary.core.place import Place
from sequary.core.values import Batch, Output
from sequary.models.encoder import TokenEncoder
from sequary.objectives.masked_tokens import MaskedTokens


class Watched(TokenEncoder):
    """Keeps the tokens that it was given."""

    seen: list[Tensor]

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        self.seen = [batch.values]
        return super().forward(batch, tape, rng)


def built() -> Watched:
    torch.manual_seed(0)
    return part(Watched, **TokenEncoder.tiny).build(Place(8)).eval()


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


IDS = torch.randint(1, 11, (4, 50), generator=rng(3))


def test_a_share_of_the_tokens_is_hidden_and_only_they_count() -> None:
    model = built()
    loss = MaskedTokens(rate=0.3)(model, Batch(values=IDS), rng()).value
    hidden = model.seen[0] == 0
    assert 0.2 < hidden.float().mean() < 0.4
    assert torch.equal(model.seen[0][~hidden], IDS[~hidden])
    each = model.head.loss(model(Batch(values=model.seen[0])).hidden, IDS)
    torch.testing.assert_close(loss, each[hidden].mean())


def test_padding_is_never_hidden_and_one_token_always_is() -> None:
    model, real = built(), torch.arange(50).expand(4, -1) < 9
    MaskedTokens(rate=0.9)(model, Batch(values=IDS * real, observed=real), rng())
    assert (model.seen[0][real] == 0).any()
    found = MaskedTokens(rate=1e-6)(model, Batch(values=IDS, observed=real), rng())
    assert int(((model.seen[0] == 0) & real).sum()) == 1
    assert torch.equal(model.seen[0][~real], IDS[~real])
    assert found.value > 0


def test_the_truth_may_be_given_apart() -> None:
    model = built()
    same = MaskedTokens()(model, Batch(values=IDS, target=IDS), rng()).value
    assert torch.equal(same, MaskedTokens()(model, Batch(values=IDS), rng()).value)
    assert not torch.equal(same, MaskedTokens()(model, Batch(values=IDS, target=IDS.roll(1, 0)), rng()).value)
