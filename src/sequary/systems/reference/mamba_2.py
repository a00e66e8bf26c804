"""Mamba-2: a selective state space with one decay a head, which is causal linear attention.

S_t = exp(dt_t A) S_{t-1} + B_t (dt_t x_t)ᵀ, y_t = S_tᵀ C_t + D x_t, behind a short convolution and a gate; one such block a layer.
"""

from sequary.blocks.norms import RMSNorm
from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card
from sequary.core.part import part
from sequary.mixers.ssm.mamba2 import Mamba2

CARD = Card(
    id="mamba-2",
    title="Transformers are SSMs: Generalized Models and Efficient Algorithms Through Structured State Space Duality",
    kind="reference",
    arxiv="2405.21060",
    year=2024,
    modalities=("text", "any"),
)
norm = part(RMSNorm, eps=1e-5)
RECIPE = language_model(dim=128, depth=8, blocks=(part(PreNorm, parts=(part(Mamba2),), norm=norm),), norm=norm)
