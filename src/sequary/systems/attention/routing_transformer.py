"""Routing Transformer: half of the heads look at the last few tokens, the others at tokens of the same cluster.

Vectors are compared with centroids that follow them by online k-means; a token attends inside its cluster, so that what it reads is
chosen by content at a cost of n·(clusters + window) a head. o_t = Σ_s softmax_s(q_t·q_s / √K) v_s over the latest `window` tokens whose
nearest centroid is that of t, q = LayerNorm(W_q x) both as query and key. The paper gives each centroid its top tokens of the whole row,
which a decoder cannot know (`RoutingAttention` does so, for encoders); the head's clusters and the local heads are added by `Parallel`.
"""

from sequary.blocks.parallel import Parallel
from sequary.blocks.prenorm import PreNorm
from sequary.builders import LM_TINY, language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.attention.causal_routing import CausalRoutingAttention
from sequary.mixers.attention.local import CausalLocalAttention
from sequary.mixers.mlp.dense import MLP

CARD = Card(
    id="routing-transformer",
    title="Efficient Content-Based Sparse Attention with Routing Transformers",
    kind="mixer",
    arxiv="2003.05997",
    year=2020,
    modalities=("text", "image"),
    notes=(
        "The top tokens of a cluster, chosen from the whole row, leak the future into a causal model (in the package logits move by "
        "about 1). Here the nearest centroid of a token and the latest tokens of that cluster decide; clusters are of unequal size.",
        "A token attends to itself, as in algorithm 1 of the paper; the package gives that score −5e4. Centroids are renormalised after "
        "each step of the moving average.",
        "Goldens and converter are of the package routing_transformer (third-party), leak included.",
        "Declined: pkm_layers and moe_layers, layers of other packages; return_embeddings, which leaves no head; an ff_activation; "
        "centroids that are not initialised, since the source then draws them from its first input.",
    ),
)
local = part(CausalLocalAttention, heads=2, window=64, width=32)
routed = part(CausalRoutingAttention, heads=2, clusters=8, window=64, width=32)
block = part(PreNorm, parts=(part(Parallel, parts=(local, routed)), part(MLP)))
PARTS = "model__backbone__blocks__0__parts__0__parts"
windows = tuple((f"{PARTS}__{i}__window", 8) for i in (0, 1))
RECIPE = language_model(dim=128, depth=4, blocks=(block,), tiny=(*LM_TINY, *windows))
SMALL: dict[str, int] = {
    "dim": 32,
    "model__backbone__depth": 2,
    **{f"{PARTS}__{i}__{n}": v for i, window in enumerate((8, 16)) for n, v in (("heads", 1), ("window", window))},
    "stages__0__train__batch": 32,
}
CLAIM = Claim(
    "clusters by content recall more than one cluster, which is a window of the latest tokens, with as many pairs attended to",
    experiment="recall",
    against="routing-transformer",
    metric="accuracy",
    better="higher",
    margin=0.02,
    settings={
        "pairs": 4,
        "length": 64,
        "keys": 32,
        "values": 16,
        "value_first": True,
        "seeds": 3,
        "train": SMALL | {"stages__0__train__steps": 1000},
        "baseline": {f"{PARTS}__1__clusters": 1},
        "grid": {"stages__0__train__lr": (5e-3, 1e-2)},
        "live": {"train": SMALL | {"stages__0__train__steps": 100}, "grid": {"stages__0__train__lr": (1e-2,)}},
    },
)
