"""Kimi delta attention: the delta rule with a decay for each key entry and one strength for erasing and writing.

S_t = (I − β_t k_t k_tᵀ) diag(α_t) S_{t-1} + β_t k_t v_tᵀ. The rival that shows what Gated DeltaNet-2's separate gates bring.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card
from sequary.core.part import part
from sequary.mixers.linear.delta import DeltaNet, LowRankGate
from sequary.mixers.linear.delta_gates import KeyDecayed
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="kda",
    title="Kimi Linear: An Expressive, Efficient Attention Architecture",
    kind="reference",
    modalities=("text", "any"),
)
mixer = part(DeltaNet, heads=4, key=32, value=32, gates=part(KeyDecayed), gate=part(LowRankGate, rank=32))
block = part(PreNorm, parts=(mixer, part(SwiGLU)))
RECIPE = language_model(dim=128, depth=4, blocks=(block,))
