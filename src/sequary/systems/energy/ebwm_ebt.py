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
        "Networks told the inner step (ebt_type), clamped or sharpened candidates and the contrastive loss are the converter's own.",
        "Declined: learnable_process_memory and num_modality_processing_mlp_layers above 1 (maps of the candidate that the paper has not); "
        "randomize_mcmc_num_steps (its loss draws the number anew); gaussian_random_noise_scaling, which a given start leaves open; "
        "denoising_initial_condition and ebt_norm of names that its language model does not build; multiheaded_attention_heads that "
        "leave an odd width.",
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
train = {
    "stages__0__train__batch": 8,
    "stages__0__train__steps": 700,
    "stages__0__train__lr": 3e-3,
    "stages__0__train__betas": (0.9, 0.95),
    "stages__0__train__weight_decay": 0.1,
    "stages__0__train__evaluate_every": 1000,
    "stages__0__train__patience": None,
}
CLAIM = Claim(
    "the loss falls with every step of descent, and energies tell true continuations from corrupted ones",
    experiment="refinement",
    against="gpt",
    metric="bits_per_byte",
    settings={
        "context": 64,
        "train": train,
        "judged": 20_000,
        "separated": 0.9,
        "live": {"train": train | {"stages__0__train__steps": 60}, "judged": 5000},
    },
)
