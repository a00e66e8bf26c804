"""An energy over (context, candidate), and predictions by descending it (energy-based transformers; EBWM, 2024).

E_t = E(x_0..x_t, p_t), p_t a candidate distribution of the next symbol. From noise y, for a few steps: p = softmax(y), then
y ← p − α ∂E/∂p, as in the authors' code. Learning goes through those steps, so it needs second derivatives: everything inside runs
on its plain form.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from sequary.backbones.candidate_streams import CandidateStreams
from sequary.core.contracts import Model
from sequary.core.ctx import Ctx, Tape
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch, Output
from sequary.heads.given import GivenLogits
from sequary.ops.forms import form
from sequary.tokens.symbols import Embedding

SMALLEST_STEP = 1e-4


@dataclasses.dataclass(frozen=True, slots=True)
class Refined:
    """One inner step: the energies [B, S] before it, and the candidate logits [B, S, V] after it."""

    energy: Tensor
    logits: Tensor


class EnergyModel(Model):
    """values [B, S] tokens -> Output(hidden = refined logits [B, S, V], extra "energy" [steps, B, S]).

    `steps` of descent with the learned step size `alpha` (at least 1e-4), from `spread` times normal noise of `rng`; `noise` is
    the deviation of Langevin noise before each step. Candidates enter through a map V -> D of their own.
    `through`: gradients flow from one inner step to the next; otherwise each is learnt for itself.
    `normed`: how many steps, from the first, make a distribution of the logits (all, if not given); the others take them raw.
    """

    exempt = {"half": "y ← p − α ∂E/∂p: rounding of the slope in bfloat16 is carried on by every step of descent"}
    tiny = {"vocab": 11, "backbone": part(CandidateStreams, depth=1, heads=2)}

    def __init__(
        self,
        dim: int,
        *,
        vocab: int,
        backbone: Part[CandidateStreams],
        steps: int = 2,
        alpha: float = 1.0,
        noise: float = 0.0,
        spread: float = 1.0,
        through: bool = False,
        normed: int | None = None,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.vocab, self.steps, self.noise, self.spread, self.through = vocab, steps, noise, spread, through
        self.normed = steps if normed is None else normed
        self.tokens = part(Embedding, vocab=vocab).build(here)
        self.candidates = nn.Linear(vocab, dim, bias=False)
        self.backbone = backbone.build(here)
        self.energy_of = nn.Linear(dim, 1, bias=False)
        self.alpha = nn.Parameter(torch.tensor(float(alpha)))
        self.heads = nn.ModuleDict({"main": GivenLogits(dim)})

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        """Without an `rng` the descent starts at zero logits."""
        path = self.refine(batch, self.start(batch, rng), rng, learn=torch.is_grad_enabled())
        return Output(path[-1].logits, extra={"energy": torch.stack([p.energy for p in path])})

    def start(self, batch: Batch, rng: torch.Generator | None) -> Tensor:
        """[B, S, V] logits to descend from."""
        like = self.candidates.weight
        blank = torch.zeros(*batch.values.shape, self.vocab, dtype=like.dtype, device=like.device)
        return blank if rng is None else blank.normal_(generator=rng) * self.spread

    def energy(self, batch: Batch, candidate_BSV: Tensor) -> Tensor:
        """[B, S]: low where the candidate, a distribution over symbols, fits its context."""
        positions = batch.ctx().position_ids(batch.values.shape[0], batch.values.shape[1], batch.values.device)
        true = self.tokens(batch.values, positions)
        hidden = self.backbone(true, self.candidates(candidate_BSV), Ctx(mask=batch.token_mask))
        return self.energy_of(hidden)[..., 0]

    def refine(
        self,
        batch: Batch,
        logits_BSV: Tensor,
        rng: torch.Generator | None,
        *,
        learn: bool,
        jolts: Tensor | None = None,
    ) -> list[Refined]:
        """All inner steps. `learn` keeps the graph for second derivatives; `jolts` [steps, B, S, V] stand for Langevin's normals."""
        path: list[Refined] = []
        with form("reference"), torch.enable_grad():
            for step in range(self.steps):
                if not self.through:
                    logits_BSV = logits_BSV.detach()
                if not logits_BSV.requires_grad:
                    logits_BSV.requires_grad_()
                jolted = logits_BSV + self._jolt(logits_BSV, rng, None if jolts is None else jolts[step])
                candidate = jolted.softmax(-1) if step < self.normed else jolted
                energy = self.energy(batch, candidate)
                (slope,) = torch.autograd.grad(energy.sum(), candidate, create_graph=learn)
                logits_BSV = candidate - self.alpha.clamp(min=SMALLEST_STEP) * slope
                path.append(Refined(energy, logits_BSV) if learn else Refined(energy.detach(), logits_BSV.detach()))
        return path

    def _jolt(self, like: Tensor, rng: torch.Generator | None, given: Tensor | None) -> Tensor:
        if given is not None:
            return given * self.noise
        if self.noise == 0 or rng is None:
            return torch.zeros_like(like)
        return torch.empty_like(like).normal_(generator=rng).detach() * self.noise
