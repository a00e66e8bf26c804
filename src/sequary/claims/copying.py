"""Selective copying: of tokens scattered among noise, said again in order at the end. A selective state space against one that is not.

The task of Gu and Dao, Mamba (arXiv 2312.00752), section 4.1.1: `tokens` data symbols stand at random places among
`length` - `tokens` noise symbols; then come `tokens` marks, at which the data are asked for in their order. Accuracy over
the marks. The twin is the same recipe with `Fixed` in place of `Mamba`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.claims.judging import Trial
from sequary.claims.symbols import Arms, Chosen, Rows, parts, tested, tuned
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import part
from sequary.core.place import Place
from sequary.mixers.conv.short import ShortConv
from sequary.ops.diagonal_scan import scan_matrix
from sequary.train.seeds import generator

NOISE, MARK = 0, 1


class Fixed(Mixer):
    """Mamba's block with dt, B and C that no input changes: y_t = W_out (((K * u)_t + D u_t) ⊙ SiLU(z_t)), one kernel K a channel.

    Each channel has its own dt, B and C (as in S4D), so the twin has about Mamba's number of parameters, not less freedom than
    shared ones would leave it. B starts at 1, C normal, dt and A as Mamba's. Whole rows only: no padding, no packing.
    """

    causal, pads, packs = True, False, False

    def __init__(
        self, dim: int, *, expand: float = 2, states: int = 16, taps: int = 4, place: Place | None = None
    ) -> None:
        super().__init__()
        inner = int(dim * expand)
        self.inner = nn.Linear(dim, 2 * inner, bias=False)
        self.conv = part(ShortConv, taps=taps).build(Place.here(place, inner))
        self.A_log = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(inner, 1))
        self.B = nn.Parameter(torch.ones(inner, states))
        self.C = nn.Parameter(torch.randn(inner, states) / math.sqrt(states))
        self.D = nn.Parameter(torch.ones(inner))
        start = torch.empty(inner).uniform_(math.log(1e-3), math.log(0.1)).exp()
        self.dt = nn.Parameter(start + (-(-start).expm1()).log())  # the inverse of softplus
        self.out = nn.Linear(inner, dim, bias=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        u, z = self.inner(x_BTD).chunk(2, -1)
        u = F.silu(self.conv(u, ctx))
        y_BTE = torch.einsum("ets,bse->bte", self.matrix(x_BTD.shape[1]), u)
        return self.out((y_BTE + self.D * u) * F.silu(z))

    def matrix(self, length: int) -> Tensor:
        """[E, T, T], lower-triangular and constant along its diagonals."""
        dt_BTE = F.softplus(self.dt).expand(1, length, -1)
        B_BTEN, C_BTEN = (x.expand(1, length, -1, -1) for x in (self.B, self.C))
        return scan_matrix(dt_BTE, -self.A_log.exp(), B_BTEN, C_BTEN)[0]


def scattered(count: int, seed: int, purpose: str, *, tokens: int, length: int, symbols: int) -> Rows:
    """`count` rows of `length` + `tokens` symbols: 0 noise, 1 the mark, then the data."""
    rng = generator(torch.device("cpu"), seed, "copying", purpose)
    data = 2 + torch.randint(symbols, (count, tokens), generator=rng, dtype=torch.int16)
    place = torch.rand(count, length, generator=rng).argsort(1)[:, :tokens].sort(1).values
    row = torch.full((count, length), NOISE, dtype=torch.int16).scatter_(1, place, data)
    target = torch.cat((torch.zeros_like(row), data), 1)
    return Rows(torch.cat((row, torch.full_like(data, MARK)), 1), target, target > 0)


def arms(slug: str, claim: Claim) -> Arms:
    """ "system" and "baseline", at the size of the settings' `train`."""
    recipe, states = load(slug).recipe, claim.settings["states"]
    assert recipe is not None
    system = recipe.but(**claim.settings["train"], model__backbone__blocks__0__parts__0__states=states)
    return {"system": system, "baseline": system.but(model__backbone__blocks__0__parts=(part(Fixed, states=states),))}


def rows(claim: Claim, seed: int) -> tuple[Rows, Rows, Rows]:
    task = {n: claim.settings[n] for n in ("tokens", "length", "symbols")}
    return parts(lambda count, purpose: scattered(count, seed, purpose, **task), claim.settings["train"])


def vocab(claim: Claim) -> int:
    return 2 + claim.settings["symbols"]


def tune(slug: str, claim: Claim) -> Chosen:
    return tuned(arms(slug, claim), rows(claim, 0), vocab=vocab(claim), grid=claim.settings["grid"])


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Mapping[str, Any]]) -> Trial:
    """The floor names one of the symbols."""
    found = tested(arms(slug, claim), rows(claim, seed), chosen, vocab=vocab(claim), seed=seed)
    return Trial(seed, found["system"], found["baseline"], 1 / claim.settings["symbols"])
