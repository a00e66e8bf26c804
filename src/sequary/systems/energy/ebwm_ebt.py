"""Energy-based world model: a transformer scores (context, candidate), and prediction is descent on that score.

E_t = E(x_0..x_t, p_t), p = softmax(y); y ← p − α ∂E/∂p from noise, a few times; the loss is on the refined y, through the descent.
Two streams let all positions train at once: each candidate attends to the true tokens before it and to itself only. More steps
are more thought, and the energy tells how plausible a continuation is.
"""

from sequary.backbones.candidate_streams import CandidateStreams
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.models.energy import EnergyModel
from sequary.objectives.refinement import Refinement

CARD = Card(
    id="ebwm-ebt",
    title="Cognitively Inspired Energy-Based World Models",
    kind="head",
    arxiv="2406.08862",
    year=2024,
    modalities=("text", "video", "any"),
    notes=(
        "The step is taken from the softmaxed candidate, with the slope at it, as in the authors' code.",
        "Declined: ebt_type other than default, norms other than rms, activations other than silu, clamped or sharpened candidates, "
        "contrastive losses, memories, randomised numbers of steps, starts from scaled noise or an embedding, truncate_mcmc together with "
        "no_mcmc_detach: all these compute something else than the plain form.",
    ),
)
RECIPE = Recipe(
    dim=128,
    model=part(
        EnergyModel, vocab=FromData("vocab"), backbone=part(CandidateStreams, depth=4, heads=4), steps=2, alpha=1.0
    ),
    stages=(Stage(objective=Refinement(), train=Train(lr=1e-3, batch=16, steps=2000, warmup=0.05)),),
    tiny=(("dim", 32), ("model__backbone__depth", 2)),
)
CLAIM = Claim(
    "the loss falls with every step of descent, and energies tell true continuations from corrupted ones",
    experiment="refinement",
    against="gpt",
    metric="bits_per_symbol",
    settings={"data": "shakespeare", "steps": 2},
)
