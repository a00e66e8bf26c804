"""MAR: an encoder that reads what is known alone, and many continuous tokens drawn at a time."""

from __future__ import annotations

import torch

from sequary.core.contracts import Head
from sequary.core.ctx import Tape
from sequary.core.values import Batch, Output
from sequary.decode.guidance import UNGUIDED, Growing
from sequary.decode.masked import MaskedGroups
from sequary.heads.diffusion import Diffusion
from sequary.models.masked_latents import MaskedLatents
from sequary.models.tokenized import Tokenized
from sequary.objectives.image_tokens import MaskedLatentTokens
from sequary.orders.masked import Masked
from tests.models import generation

GRID, CELLS = (7, 7), 49


def parts() -> tuple[Tokenized, MaskedLatents]:
    model = generation.model("mar-diffusion-loss")
    assert isinstance(model.prior, MaskedLatents)
    return model, model.prior


def latents(seed: int = 0, rows: int = 3) -> torch.Tensor:
    return torch.randn(rows, CELLS, 4, generator=generation.rng(seed), dtype=torch.float64)


def shown(*counts: int) -> torch.Tensor:
    """[B, T]: so many cells known in each row, at random."""
    keys = torch.rand(len(counts), CELLS, generator=generation.rng(7)).argsort(1).argsort(1)
    return keys < torch.tensor(counts)[:, None]


def test_it_trains() -> None:
    generation.trains("mar-diffusion-loss")


def test_it_samples() -> None:
    generation.samples("mar-diffusion-loss")


def test_hidden_latents_are_never_read() -> None:
    _, prior = parts()
    known, x, cond = shown(0, 10, 30), latents(), torch.arange(3)
    base = prior(Batch(values=x, observed=known, cond=cond)).hidden
    other = torch.where(known[..., None], x, latents(1))
    assert torch.equal(prior(Batch(values=other, observed=known, cond=cond)).hidden, base)
    seen = torch.where(known[..., None], latents(1), x)
    moved = (prior(Batch(values=seen, observed=known, cond=cond)).hidden - base).abs().amax((1, 2))
    assert moved[0] == 0
    assert (moved[1:] > 1e-4).all()


def test_rows_that_know_different_numbers_equal_rows_alone() -> None:
    _, prior = parts()
    batch = Batch(values=latents(), observed=shown(0, 10, 49), cond=torch.arange(3))
    whole = prior(batch).hidden
    for row in range(3):
        alone = prior(batch.map(lambda t, row=row: t[row : row + 1])).hidden
        torch.testing.assert_close(alone, whole[row : row + 1])


def test_training_vectors_are_those_of_decoding_group_by_group() -> None:
    """What each group was drawn from is what training gives for the finished image with the groups before it known."""
    model, prior = parts()
    assert isinstance(model.head, Diffusion)
    cond, seen = torch.tensor([0, 1]), list[torch.Tensor]()
    decoder = MaskedGroups(grid=GRID, order=Masked(6), guidance=UNGUIDED)
    order = decoder.order.rows(2, GRID, generation.rng())

    def draw(z: torch.Tensor, plain: torch.Tensor | None, weight: float) -> torch.Tensor:
        assert plain is None
        seen.append(z)
        return torch.randn(*z.shape[:2], 4, generator=generation.rng(len(seen)), dtype=z.dtype)

    x, trace = decoder.run(model, prior, cond, order, draw)
    known = torch.zeros(2, CELLS, dtype=torch.bool)
    for z, group in zip(seen, trace, strict=True):
        hidden = prior(Batch(values=x, observed=known, cond=cond)).hidden
        torch.testing.assert_close(z, hidden.gather(1, group["cells"][..., None].expand_as(z)))
        torch.testing.assert_close(x.gather(1, group["cells"][..., None].expand_as(group["latents"])), group["latents"])
        known = known.scatter(1, group["cells"], True)
    assert known.all()
    assert [t["cells"].shape[1] for t in trace] == [2, 5, 8, 10, 12, 12]


def test_guidance_compares_with_no_class() -> None:
    model, prior = parts()
    cond, weights = torch.tensor([0, 1]), list[float]()

    def draw(z: torch.Tensor, plain: torch.Tensor | None, weight: float) -> torch.Tensor:
        assert plain is not None
        weights.append(weight)
        if len(weights) == 1:
            empty = Batch(
                values=torch.zeros(2, CELLS, 4, dtype=z.dtype), observed=torch.zeros(2, CELLS, dtype=torch.bool)
            )
            cells = decoder.order.groups(order)[0][..., None].expand_as(z)
            torch.testing.assert_close(plain, prior(empty).hidden.gather(1, cells))
        return z[..., :4]

    decoder = MaskedGroups(grid=GRID, order=Masked(4), guidance=Growing(3.0))
    order = decoder.order.rows(2, GRID, generation.rng())
    decoder.run(model, prior, cond, order, draw)
    assert weights == sorted(weights)
    assert abs(weights[-1] - (1 + 2 * 48 / 49)) < 1e-12


def test_the_hidden_share_is_a_truncated_normal() -> None:
    objective, generator = MaskedLatentTokens(grid=GRID), generation.rng()
    shares = torch.tensor([objective.share(generator) for _ in range(4000)])
    assert shares.min() >= 0.7
    assert shares.max() <= 1
    # N(1, 0.25²) cut to [0.7, 1] has mean 1 − 0.25 (φ(0) − φ(1.2)) / (Φ(0) − Φ(−1.2)).
    assert abs(shares.mean().item() - 0.8667) < 0.005


def test_only_hidden_cells_count() -> None:
    """A head that answers the mask itself: the loss is its mean over hidden cells, so exactly one."""
    model, prior = parts()

    class Marks(Head):
        def loss(self, hidden: torch.Tensor, target: torch.Tensor, rng: torch.Generator | None = None) -> torch.Tensor:
            assert seen
            return (~seen[-1]).double()

    seen, forward = list[torch.Tensor](), prior.forward

    def watch(batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        assert batch.observed is not None
        seen.append(batch.observed)
        return forward(batch, tape, rng)

    prior.forward = watch
    prior.heads["main"] = Marks()
    assert MaskedLatentTokens(grid=GRID)(model, generation.batch(), generation.rng()).value == 1
    assert ((~seen[0]).sum(1) >= 0.7 * CELLS).all()
    assert len({tuple(row.tolist()) for row in seen[0]}) == 3, "each row has an order of its own"
