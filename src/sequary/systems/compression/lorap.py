"""LoRAP: attention projections are factorised by an SVD weighted with the size of their inputs, feed-forwards lose channels.

W diag(s) ≈ L R truncated, R unscaled by s; v and o get more rank than q and k. Channels are scored by ‖|W| s‖ over gate, up and
down, and the very lowest ones stay: the sublayers differ in what they can spare.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.edit.lorap import LoRAP
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="lorap",
    title="LoRAP: Transformer Sub-Layers Deserve Differentiated Structured Compression for Large Language Models",
    kind="compression",
    arxiv="2404.09695",
    year=2024,
    modalities=("text",),
    notes=(
        "Sizes of inputs are sums over tokens; the authors' code takes means over samples, which scales all of them alike.",
        "Declined: a saved_rank above the rank of the calibration outputs, where AFM's eigenvectors are arbitrary; feed-forwards with "
        "biases.",
        "The authors' code cuts v and o at the small rank although it allocates the large one; we use the large one.",
    ),
)
block = part(PreNorm, parts=(part(CausalAttention, heads=8), part(SwiGLU)))
RECIPE = language_model(dim=128, depth=4, blocks=(block,)).but(edits=(LoRAP(keep=0.5),))
CLAIM = Claim(
    "on attention the weighted SVD raises the loss less than the plain one at equal rank",
    experiment="edit_order",
    against="plain SVD",
    metric="loss_increase",
    margin=0.02,
    settings={
        "keep": 0.5,
        "context": 64,
        "calibration": 64,
        "judged": 50_000,
        "seeds": 5,
        "train": {"stages__0__train__steps": 1000, "stages__0__train__batch": 16, "stages__0__train__lr": 3e-3},
        "live": {
            "judged": 10_000,
            "train": {"stages__0__train__steps": 250, "stages__0__train__batch": 16, "stages__0__train__lr": 3e-3},
        },
    },
)
