"""Gated DeltaNet: the delta rule with one decay a head.

S_t = (I − β_t k_t k_tᵀ) α_t S_{t-1} + β_t k_t v_tᵀ, o_t = S_tᵀ q_t / √K; short convolutions, unit queries and keys, a SiLU gate.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card
from sequary.core.part import part
from sequary.mixers.linear.delta import DeltaNet
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="gated-deltanet",
    title="Gated Delta Networks: Improving Mamba2 with Delta Rule",
    kind="reference",
    arxiv="2412.06464",
    year=2024,
    modalities=("text", "any"),
)
block = part(PreNorm, parts=(part(DeltaNet, heads=4, key=32, value=32), part(SwiGLU)))
RECIPE = language_model(dim=128, depth=4, blocks=(block,))
