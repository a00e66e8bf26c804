"""Gated linear attention: linear attention whose memory forgets, in each key dimension at a rate that the token sets.

S_t = diag(α_t) S_{t-1} + k_t v_tᵀ, o_t = S_tᵀ q_t / √K, α_t = σ(W₂ W₁ x_t + b)^{1/16} in (0, 1)^K; then a norm a head and a
SiLU gate. A fixed-size state makes decoding constant in time and memory; training runs in chunks. The paper's second level of
chunks in log space is here a halving of each chunk, exact for any gate (ops/decays.py).
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.linear.gla import GatedLinearAttention
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="gla",
    title="Gated Linear Attention Transformers with Hardware-Efficient Training",
    kind="mixer",
    arxiv="2312.06635",
    year=2023,
    modalities=("text", "any"),
    notes=(
        "The recipe is small; SIZES holds the paper's.",
        "Parity is with flash-linear-attention's layer, whose every option the converter takes.",
        "Declined: feature_map or gate_fn 'bias_gelu', which is no function of one tensor.",
    ),
)
block = part(PreNorm, parts=(part(GatedLinearAttention, heads=4), part(SwiGLU)))
RECIPE = language_model(dim=128, depth=4, blocks=(block,))
SIZES = {
    "340m": {"dim": 1024, "model__backbone__depth": 24},
    "1.3b": {"dim": 2048, "model__backbone__depth": 24},
}
CLAIM = Claim(
    "gates that the input sets recall more than a fixed decay at equal state, in a host with short convolutions",
    experiment="recall",
    against="retention",
    metric="accuracy",
    better="higher",
    margin=0.02,
    settings={
        "pairs": 8,
        "length": 48,
        "keys": 32,
        "values": 16,
        "seeds": 8,
        "train": {
            "dim": 32,
            "model__backbone__depth": 2,
            "model__backbone__blocks__0__parts__0__heads": 1,
            "stages__0__train__steps": 1500,
            "stages__0__train__batch": 64,
        },
        "baseline": {"model__backbone__blocks__0__parts__1__hidden": 96},
        "grid": {"stages__0__train__lr": (2.5e-3, 5e-3, 1e-2)},
        "live": {
            "train": {
                "dim": 32,
                "model__backbone__depth": 2,
                "model__backbone__blocks__0__parts__0__heads": 1,
                "stages__0__train__steps": 500,
                "stages__0__train__batch": 64,
            },
            "grid": {"stages__0__train__lr": (1e-2,)},
        },
    },
)
