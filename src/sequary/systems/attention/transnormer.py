"""TransNormer: early layers attend inside blocks, later ones by kernel attention whose denominator is replaced by a norm.

Early: o_t = Σ_s softmax_s(q_t·k_s / √K) v_s over the tokens s <= t of t's block, so that attention stays near the token. Later:
S_t = S_{t-1} + φ(k_t) v_tᵀ, y_t = W_o norm(S_tᵀ φ(q_t)), φ(x) = elu(x) + 1. Without the division by a sum of weights, which may be
small, gradients are bounded. Linear in the length, with a state that does not grow.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.attention.block_diagonal import CausalBlockAttention
from sequary.mixers.linear.norm_attention import CausalNormAttention
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="transnormer",
    title="The Devil in Linear Transformer",
    kind="mixer",
    arxiv="2210.10340",
    year=2022,
    modalities=("text", "any"),
    notes=(
        "Goldens are of the first author's later modules, which gate values and output; `gate` does that, the recipe has none.",
        "The recipe has no positions beyond causality and the blocks.",
        "Declined: causal local attention with softmax, where that code reads the future; norm_type 'gatedrmsnorm', of a later paper.",
    ),
)
near = part(PreNorm, parts=(part(CausalBlockAttention, heads=4, block=64), part(SwiGLU)))
far = part(PreNorm, parts=(part(CausalNormAttention, heads=4), part(SwiGLU)))
RECIPE = language_model(dim=128, depth=4, blocks=(near, near, far, far))
CLAIM = Claim(
    "attention in blocks first and norms in place of denominators tell a text in fewer bits than kernel attention, at equal size",
    experiment="twin_text",
    against="linear-transformer",
    metric="bits_per_byte",
    margin=0.02,
    settings={
        "context": 256,
        "judged": 20_000,
        "train": {"dim": 64, "stages__0__train__steps": 300, "stages__0__train__batch": 8},
        "grid": {"stages__0__train__lr": (1e-3, 3e-3)},
        "seeds": 3,
        "live": {
            "context": 128,
            "judged": 4_000,
            "train": {"dim": 32, "stages__0__train__steps": 150, "stages__0__train__batch": 8},
            "grid": {"stages__0__train__lr": (3e-3,)},
        },
    },
)
