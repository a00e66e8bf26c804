"""Mamba: a state-space model whose steps and projections depend on the input, so that it can select what to keep.

Per channel h_t = exp(dt_t A) h_{t-1} + dt_t B_t u_t and y_t = C_t·h_t + D u_t, with dt, B, C linear in u; u comes from a short
causal convolution and SiLU, y is multiplied by SiLU(z). One such block a layer, no attention and no feed-forward. The scan runs
in chunks (ops/diagonal_scan.py); a step is the same recurrence.
"""

from sequary.blocks.norms import RMSNorm
from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.ssm.mamba import Mamba

CARD = Card(
    id="mamba",
    title="Mamba: Linear-Time Sequence Modeling with Selective State Spaces",
    kind="mixer",
    arxiv="2312.00752",
    year=2023,
    modalities=("text", "audio", "any"),
    notes=(
        "The recipe is small; SIZES holds the paper's. Embedding and head are not tied, as they are in the paper's models.",
        "B is discretised by Euler's rule (dt B), as in the authors' code; the paper's equation 4 has the zero-order hold.",
        "Declined: complex A in selective_scan_ref, since the paper's language models are real; hidden_act other than silu in "
        "transformers' configuration.",
    ),
)
norm = part(RMSNorm, eps=1e-5)
RECIPE = language_model(dim=128, depth=8, blocks=(part(PreNorm, parts=(part(Mamba),), norm=norm),), norm=norm)
SIZES = {
    "130m": {"dim": 768, "model__backbone__depth": 24},
    "370m": {"dim": 1024, "model__backbone__depth": 48},
    "790m": {"dim": 1536, "model__backbone__depth": 48},
    "1.4b": {"dim": 2048, "model__backbone__depth": 48},
    "2.8b": {"dim": 2560, "model__backbone__depth": 64},
}
CLAIM = Claim(
    "selection copies tokens scattered at random places more often than the same model with dt, B and C fixed",
    experiment="copying",
    against="dt, B and C fixed",
    metric="accuracy",
    better="higher",
    margin=0.02,
    settings={
        "tokens": 6,
        "length": 42,
        "symbols": 8,
        "states": 8,
        "seeds": 5,
        "train": {
            "dim": 32,
            "model__backbone__depth": 2,
            "stages__0__train__steps": 1500,
            "stages__0__train__batch": 32,
        },
        "grid": {"stages__0__train__lr": (2.5e-3, 5e-3, 1e-2)},
        "live": {
            "tokens": 4,
            "length": 24,
            "train": {
                "dim": 32,
                "model__backbone__depth": 2,
                "stages__0__train__steps": 500,
                "stages__0__train__batch": 32,
            },
            "grid": {"stages__0__train__lr": (5e-3,)},
        },
    },
)
