"""Gated state spaces: a state space of a quarter of the width, behind a wide gate that the token sets.

v = GELU(W₁ x), u = GELU(W₂ x) narrow; h_t = exp(Λ) h_{t-1} + u_t with complex rates Λ that no input changes, y = Re C̃ h + D u;
x ← x + W₄ (W₃ y ⊙ v). Whole rows are one FFT convolution with the kernel Re C̃ exp(Λ l), text is written by the recurrence. The
rates start at random. No positions, no attention, no feed-forward: the gate is the feed-forward.
"""

from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.ssm.dss import DiagonalStateSpace
from sequary.mixers.ssm.gated_state_space import GatedStateSpace

CARD = Card(
    id="gss",
    title="Long Range Language Modeling via Gated State Spaces",
    kind="mixer",
    arxiv="2206.13947",
    year=2022,
    modalities=("text", "any"),
    notes=(
        "The recipe is small; the hybrid with blocks of local attention is left out.",
        "Parity is with gated-state-spaces-pytorch, a third-party package; C starts 1/√N as large as there.",
    ),
)
mixer = part(GatedStateSpace, expand=3, inner=64, ssm=part(DiagonalStateSpace, states=32))
RECIPE = language_model(
    dim=128, depth=6, blocks=(part(PreNorm, parts=(mixer,), norm=part(LayerNorm)),), norm=part(LayerNorm)
)
CLAIM = Claim(
    "trained on windows of 96 bytes, it loses fewer bits on windows eight times as long than a transformer with rotary positions",
    experiment="longer_windows",
    against="gpt",
    metric="bits",
    margin=0.02,
    settings={
        "context": 96,
        "longer": 768,
        "judged": 60_000,
        "seeds": 3,
        "train": {"dim": 64, "model__backbone__depth": 3, "stages__0__train__batch": 8, "stages__0__train__steps": 600},
        "grid": {"stages__0__train__lr": (3e-3, 1e-3)},
        "live": {
            "judged": 12_000,
            "train": {
                "dim": 64,
                "model__backbone__depth": 3,
                "stages__0__train__batch": 8,
                "stages__0__train__steps": 80,
            },
            "grid": {"stages__0__train__lr": (3e-3,)},
        },
    },
)
