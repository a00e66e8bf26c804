"""GTrXL: Transformer-XL made steady enough for reinforcement learning, by where it normalises and how it adds.

x ← g(x, relu(part(norm x))): norms act on the branches' inputs alone, so that a path without norms runs from input to output, and a
GRU-like gate g stands in place of the sum, (1 − z) x + z h, with z = σ(W_z y + U_z x − b) near 0 at first. Attention is
Transformer-XL's: relative positions, and a memory of the segment before. The recipe is a language model; no actor and critic are built.
"""

from sequary.blocks.identity_map import GRUGate, IdentityMap, Sum
from sequary.blocks.norms import LayerNorm, NoNorm
from sequary.blocks.postnorm import PostNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.attention.segment_memory import SegmentMemoryAttention
from sequary.mixers.mlp.dense import MLP

CARD = Card(
    id="gtrxl",
    title="Stabilizing Transformers for Reinforcement Learning",
    kind="block",
    arxiv="1910.06764",
    year=2019,
    aliases=("gtrxl-trxl", "gtrxl-reordered"),
    modalities=("rl", "text"),
    notes=(
        "Only the gate that the paper recommends is built; input, output, highway and sigmoid-tanh gates are not, nor V-MPO.",
        "A whole row is one graph here: gradients flow over segments; a state that is carried on is cut by State.detach.",
        "DI-engine takes queries from the input before the norm, attends to the zeros of an empty memory, and ends the feed-forward with "
        "a ReLU of its own: its converter does so too. A bias of its map of positions adds the same to all keys of a query and is dropped.",
        "At rates from 0.0003 to 0.01 each arm solved the cue with every seed, which tells nothing of them: the claim's rates "
        "reach to 0.1.",
        "The variants without gates have wider feed-forwards, for equal parameters.",
        "Declined: an activation other than those of torch that the converter names, at their defaults.",
    ),
)
attention = part(SegmentMemoryAttention, heads=4, memory=64, segment=64)
mlp, wide = part(MLP, activation="relu"), part(MLP, activation="relu", ratio=10)
RECIPE = language_model(
    dim=128, depth=4, blocks=(part(IdentityMap, parts=(attention, mlp), meet=part(GRUGate)),), norm=part(NoNorm)
)
reordered = part(IdentityMap, parts=(attention, wide), meet=part(Sum))
VARIANTS = {
    "gtrxl-trxl": RECIPE.but(model__backbone__blocks=(part(PostNorm, parts=(attention, wide), norm=part(LayerNorm)),)),
    "gtrxl-reordered": RECIPE.but(model__backbone__blocks=(reordered,)),
}
TRAIN = {"dim": 32, "model__backbone__depth": 3, "stages__0__train__batch": 32}
CLAIM = Claim(
    "by policy gradient it learns to answer a delayed cue at more learning rates than Transformer-XL of equal size",
    experiment="delayed_cue",
    against="gtrxl-trxl",
    metric="solved",
    better="higher",
    margin=0.05,
    settings={
        "cues": 2,
        "delay": 30,
        "entropy": 0.01,
        "seeds": 7,
        "beside": ("gtrxl-reordered",),
        "rates": (1e-3, 1e-2, 3e-2, 1e-1),
        "train": {**TRAIN, "stages__0__train__steps": 300},
        "live": {"beside": (), "delay": 10, "rates": (1e-3, 1e-2), "train": {**TRAIN, "stages__0__train__steps": 80}},
    },
)
