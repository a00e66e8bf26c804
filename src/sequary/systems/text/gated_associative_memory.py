"""Gated associative memory: a short convolution for order, a look-up of learnt vectors for meaning, and gates that add the two.

y_t = σ(g_l) ⊙ conv(x)_t + σ(g_m) ⊙ Mᵀ softmax(M x_t), (g_l, g_m) = G x_t; then a feed-forward. Linear in the length. M is a weight, not a
context: tokens meet in the convolution alone, so depth · (taps − 1) + 1 tokens are all that the model can see.
"""

from sequary.blocks.gated_sum import GatedSum
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.conv.short import ShortConv
from sequary.mixers.mlp.dense import MLP
from sequary.mixers.mlp.memory_bank import MemoryBank

CARD = Card(
    id="gated-associative-memory",
    title="Gated Associative Memory: A Parallel O(N) Architecture for Efficient Sequence Modeling",
    kind="mixer",
    arxiv="2509.00605",
    year=2025,
    modalities=("text",),
    notes=("The authors' code adds learnt positions to the tokens; here there are none, and any length is taken.",),
)
mixer = part(GatedSum, parts=(part(ShortConv, taps=3), part(MemoryBank, slots=512)))
block = part(PreNorm, parts=(mixer, part(MLP)), norm=part(LayerNorm))
RECIPE = language_model(dim=128, depth=6, blocks=(block,), norm=part(LayerNorm))
SIZES = {"paper": {"dim": 512}}
CLAIM = Claim(
    "without attention, and with only depth · (taps − 1) + 1 tokens in sight, it says a text in no more bits than a transformer of as many "
    "parameters",
    experiment="twin_text",
    against="gpt",
    metric="bits",
    settings={
        "context": 128,
        "judged": 50_000,
        "seeds": 3,
        "baseline": {"model__backbone__depth": 7},
        "train": {"stages__0__train__steps": 400, "stages__0__train__batch": 8},
        "grid": {"stages__0__train__lr": (3e-3,)},
        "live": {"judged": 2_000, "train": {"stages__0__train__steps": 30, "stages__0__train__batch": 8}},
    },
)
