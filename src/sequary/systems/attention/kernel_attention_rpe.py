"""Kernel attention with a relative position bias: the weights' Toeplitz factor is applied by a Fourier transform.

o_t = Σ_s e^{b(s−t)} (φ(q_t)·φ(k_s)) v_s / Σ_s e^{b(s−t)} φ(q_t)·φ(k_s), in O(T log T) although b is of any shape. φ: positive random
features of queries and keys on the unit sphere, whose variance is bounded. Causal here; `RelativeKernelAttention` reads all tokens.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.linear.relative_kernel import CausalRelativeKernelAttention
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="kernel-attention-rpe",
    title="Stable, Fast and Accurate: Kernelized Attention with Relative Positional Encoding",
    kind="mixer",
    arxiv="2106.12566",
    year=2021,
    modalities=("text", "image", "any"),
    notes=(
        "Distances beyond `reach` share one bias, so that any length is read.",
        "Steps keep features and values of all tokens, since b has no recurrence; with padding, packed rows or given positions the "
        "weights are written out.",
        "Random frequencies are drawn once, with the weights.",
    ),
)
block = part(PreNorm, parts=(part(CausalRelativeKernelAttention, heads=4), part(SwiGLU)))
RECIPE = language_model(dim=64, depth=2, blocks=(block,))
CLAIM = Claim(
    "a bias by distance tells a text in fewer bits than the same kernel attention with one bias for all distances",
    experiment="twin_text",
    against="kernel-attention-rpe",
    metric="bits_per_byte",
    margin=0.05,
    settings={
        "context": 64,
        "judged": 10_000,
        "baseline": {"model__backbone__blocks__0__parts__0__reach": 0},
        "train": {"stages__0__train__steps": 400, "stages__0__train__batch": 16},
        "grid": {"stages__0__train__lr": (1e-2,)},
        "seeds": 3,
        "live": {
            "judged": 2_000,
            "train": {"dim": 32, "stages__0__train__steps": 120, "stages__0__train__batch": 8},
        },
    },
)
