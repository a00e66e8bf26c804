"""A retentive network: linear attention whose memory forgets at a fixed rate in each head, the rival of gates that the input sets.

S_t = γ_h S_{t-1} + k_t v_tᵀ, o_t = S_tᵀ q_t / √K, γ_h = 1 − 2^{−5−h}, q and k turned by rotary angles; then a group norm and a
SiLU gate. Keys and values are as wide as those of `gla`, so that the two carry states of one size; the paper's are twice that.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card
from sequary.core.part import part
from sequary.mixers.linear.retention import Retention
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="retention",
    title="Retentive Network: A Successor to Transformer for Large Language Models",
    kind="reference",
    arxiv="2307.08621",
    year=2023,
    modalities=("text", "any"),
    notes=("Plain rotary angles, as in flash-linear-attention, and no magnitudes of xPos beside the decay.",),
)
block = part(PreNorm, parts=(part(Retention, heads=4, key_ratio=0.5, value_ratio=1.0), part(SwiGLU)))
RECIPE = language_model(dim=128, depth=4, blocks=(block,))
