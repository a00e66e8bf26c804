"""Template: a head draws from the density of a continuous token, given a vector, better than what cannot hold such a density.

Data of a seed: u ~ N(0, 1) in 2 features; a token of `channels` numbers given u lies either at c(u) ± a(u) or on the circle
c(u) + a(u) cos θ + b(u) sin θ, each with noise of deviation 0.05; c, a, b are fixed random waves of u. Arms: the same MLP on u under
`diffusion`, `squared_error` (its mean is what it draws), `codes` (the likeliest of `vocab` k-means centres, drawn by softmax)
and a `mixture` of 8 Gaussians, which knows the family of the two modes and is noted only. MLPs are wider where heads are smaller.

Metric `sample_distance`: the energy distance 2 E|x − y| − E|x − x'| − E|y − y'| between draws of head and truth given the same u,
mean over u and both shapes; 0 where the densities are equal. Baseline: the better of squared error and codes. Floor: tokens of another u.
Settings: `channels`, `vocab`, `rows`, `steps`, `rates` (learning rates, chosen for each arm on validation, first seed).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn

from sequary.claims.judging import Trial
from sequary.claims.mixture import Mixture
from sequary.claims.token_densities import Rows, target
from sequary.core.card import Claim
from sequary.core.contracts import Head, Model
from sequary.core.ctx import Tape
from sequary.core.recipe import Stage, Train
from sequary.core.values import Batch, Output
from sequary.heads.categorical import Categorical
from sequary.heads.diffusion import Diffusion
from sequary.heads.values import Values
from sequary.noise.gaussian import Gaussian, LinearBetas
from sequary.objectives.classify import Classify
from sequary.train.loop import fit
from sequary.train.seeds import derive, forked, generator

CPU = torch.device("cpu")
SHAPES = ("two modes", "circle")
ARMS = ("diffusion", "squared_error", "codes", "mixture")
DIM, GIVEN = 32, 64
DRAWS = 100
"""Of each of `GIVEN` vectors u."""


class Given(Model):
    """u [B, 2] -> hidden [B, D] -> head."""

    def __init__(self, width: int, head: Head) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(2, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, DIM), nn.SiLU()
        )
        self.heads = nn.ModuleDict({"main": head})

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        return Output(self.net(batch.values))


def head_of(arm: str, channels: int, vocab: int) -> Head:
    made: dict[str, Head] = {
        "diffusion": Diffusion(DIM, channels=channels, width=64, depth=2, noise=Gaussian(1000, LinearBetas())),
        "squared_error": Values(DIM, outputs=channels),
        "codes": Categorical(DIM, vocab=vocab, bias=True),
        "mixture": Mixture(DIM, channels=channels, parts=8),
    }
    return made[arm]


def size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def built(arm: str, settings: Mapping[str, Any]) -> Given:
    """All arms have the parameters of the diffusion head over an MLP of width 64, as nearly as a width of the MLP allows."""
    wanted = size(Given(64, head_of("diffusion", settings["channels"], settings["vocab"])))
    head = head_of(arm, settings["channels"], settings["vocab"])
    rest, own = wanted - size(head), 3 + DIM + 2  # w² + (2 + 1 + 1 + D) w + D, less what the head has
    return Given(64 if arm == "diffusion" else round((math.sqrt(own**2 + 4 * (rest - DIM)) - own) / 2), head)


def distance(x_GNC: Tensor, y_GNC: Tensor) -> float:
    """Mean energy distance over groups, without the pairs of a draw with itself."""
    pairs = x_GNC.shape[1] * (x_GNC.shape[1] - 1)
    own = sum(torch.cdist(v, v).sum((1, 2)) / pairs for v in (x_GNC, y_GNC))
    return float((2 * torch.cdist(x_GNC, y_GNC).mean((1, 2)) - own).mean())


@torch.no_grad()
def drawn(model: Given, u_N2: Tensor, centres: Tensor, rng: torch.Generator) -> Tensor:
    """[N, channels]."""
    hidden, head = model(Batch(values=u_N2)).hidden, model.head
    if isinstance(head, Values):
        return head(hidden)
    found = head.sample(hidden, rng)
    return centres[found] if isinstance(head, Categorical) else found


def scored(arm: str, shape: str, settings: Mapping[str, Any], rate: float, seed: int, purpose: str) -> float:
    """Train one arm on one shape, and compare its draws with the truth's."""
    truth, rng = target(shape, settings["channels"], seed), generator(CPU, seed, "rows", shape)
    u = torch.randn(settings["rows"], 2, generator=rng)
    x = truth.draw(u, rng)
    means = KMeans(settings["vocab"], random_state=seed).fit(x.numpy())
    told = torch.as_tensor(means.labels_).long() if arm == "codes" else x
    train = Train(steps=settings["steps"], batch=256, lr=rate, warmup=0.05, weight_decay=0.0)
    with forked(CPU):
        torch.manual_seed(derive(seed, "weights"))
        model = built(arm, settings)
    fit(model, Stage(objective=Classify(), train=train), Rows(u, told), seed=seed, progress=False)
    rng = generator(CPU, seed, purpose, shape)
    many = torch.randn(GIVEN, 2, generator=rng).repeat_interleave(DRAWS, 0)
    made = drawn(model, many, torch.as_tensor(means.cluster_centers_), rng)
    return distance(made.view(GIVEN, DRAWS, -1), truth.draw(many, rng).view(GIVEN, DRAWS, -1))


def floor(settings: Mapping[str, Any], seed: int) -> float:
    """Tokens drawn without a look at u."""
    found: list[float] = []
    for shape in SHAPES:
        truth, rng = target(shape, settings["channels"], seed), generator(CPU, seed, "floor", shape)
        u = torch.randn(GIVEN, 2, generator=rng).repeat_interleave(DRAWS, 0)
        other = truth.draw(torch.randn(len(u), 2, generator=rng), rng)
        found.append(distance(other.view(GIVEN, DRAWS, -1), truth.draw(u, rng).view(GIVEN, DRAWS, -1)))
    return sum(found) / len(found)


def both(arm: str, settings: Mapping[str, Any], rate: float, seed: int, purpose: str) -> float:
    return sum(scored(arm, shape, settings, rate, seed, purpose) for shape in SHAPES) / len(SHAPES)


def tune(slug: str, claim: Claim) -> dict[str, float]:
    """The learning rate of each arm."""
    rates: tuple[float, ...] = claim.settings["rates"]
    if len(rates) == 1:
        return dict.fromkeys(ARMS, rates[0])
    return {arm: min(rates, key=lambda r, a=arm: both(a, claim.settings, r, 0, "validation")) for arm in ARMS}


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, float]) -> Trial:
    found = {arm: both(arm, claim.settings, chosen[arm], seed, "test") for arm in ARMS}
    best = min(found["squared_error"], found["codes"])
    return Trial(seed, found.pop("diffusion"), best, floor(claim.settings, seed), also=found)
