"""Fastmax: attention whose exponential is a polynomial, so that all tokens still weigh on each other and the sums factor.

o_t = Σ_s f(q̂_t·k̂_s) v_s / Σ_s f(q̂_t·k̂_s), f(s) = 1 + s + s²/2, with q̂, k̂ normalised. f factors into the moments 1, k̂ and k̂ k̂ᵀ of keys
and values: cost N D³ for heads of D entries, hence many narrow heads. Weights are positive (f >= 1/2), and no key is left out.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.linear.feature_maps import Polynomial
from sequary.mixers.linear.kernel import CausalKernelAttention
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="fast-fastmax",
    title="FAST: Factorizable Attention for Speeding up Transformers",
    kind="mixer",
    arxiv="2402.07901",
    year=2024,
    modalities=("text", "image", "any"),
    notes=(
        "Each head's query and key are normalised alone and scaled as softmax's scores are, s = q̂·k̂ / √K; one of the authors' "
        "normalisations divides by the largest norm of the sequence, which reads the future.",
        "The symmetric moments are kept once: K (K + 1) / 2 of them. The gradient is the chunked op's own.",
        "Of 8 pairs both arms recall nearly all, which tells nothing; the experiment has 16.",
    ),
)
block = part(PreNorm, parts=(part(CausalKernelAttention, heads=8, key=8, feature=part(Polynomial)), part(SwiGLU)))
RECIPE = language_model(dim=128, depth=4, blocks=(block,))
CLAIM = Claim(
    "a polynomial of second order recalls more than elu + 1 at equal state and size, in a host with short convolutions",
    experiment="recall",
    against="linear-transformer",
    metric="accuracy",
    better="higher",
    margin=0.02,
    settings={
        "pairs": 16,
        "length": 64,
        "keys": 64,
        "values": 16,
        "seeds": 6,
        # 8 entries give 45 features; elu + 1 has as many of 45 entries, and a narrower feed-forward for them.
        "train": {
            "dim": 32,
            "model__backbone__depth": 2,
            "model__backbone__blocks__0__parts__0__heads": 1,
            "stages__0__train__steps": 1500,
            "stages__0__train__batch": 64,
        },
        "baseline": {
            "model__backbone__blocks__0__parts__0__key": 45,
            "model__backbone__blocks__0__parts__1__hidden": 64,
        },
        "grid": {"stages__0__train__lr": (2.5e-3, 5e-3)},
        "live": {
            "train": {
                "dim": 32,
                "model__backbone__depth": 2,
                "model__backbone__blocks__0__parts__0__heads": 1,
                "stages__0__train__steps": 250,
                "stages__0__train__batch": 64,
            },
            "grid": {"stages__0__train__lr": (1e-2,)},
        },
    },
)
