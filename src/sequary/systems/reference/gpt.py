"""A plain GPT: the decoder-only transformer that other language models are measured by.

x ← x + attention(norm(x)), x ← x + swiglu(norm(x)); causal softmax attention with rotary positions, RMS norms, SwiGLU.
As small as a text on a laptop needs it; `SIZES` has a larger one.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card
from sequary.core.part import part
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="gpt",
    title="A plain GPT: pre-norm transformer decoder with rotary positions and SwiGLU",
    kind="reference",
    modalities=("text",),
)
block = part(PreNorm, parts=(part(CausalAttention, heads=4), part(SwiGLU, ratio=8 / 3)))
RECIPE = language_model(dim=128, depth=4, blocks=(block,))
SIZES = {"10m": {"dim": 384, "model__backbone__depth": 6, "model__backbone__blocks__0__parts__0__heads": 6}}
TUNE = {"stages__0__train__lr": (1e-3, 3e-3, 3e-4)}
