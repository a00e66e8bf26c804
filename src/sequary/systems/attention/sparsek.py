"""SparseK: a small net scores pairs of keys and values; attention reads the best so far, by a top-k mask that has a derivative.

p_t = clip(u − τ_t, 0, 1) with Σ p_t = k over the best-scored pairs up to t; o_t = Σ_s softmax_s(q_t·k_s / √K) p_ts v_s over those with
p > 0, beside a sliding window. A pair that drops out never returns, so decoding keeps a state of constant size. The paper projects all
scores so far and then takes the top; here the `slots` best are projected, the same where no more have a p above zero.
"""

from sequary.blocks.parallel import Parallel
from sequary.blocks.prenorm import PreNorm
from sequary.builders import LM_TINY, language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.attention.local import CausalLocalAttention
from sequary.mixers.attention.sparsek import SparseKAttention
from sequary.mixers.mlp.dense import MLP

CARD = Card(
    id="sparsek",
    title="Sparser is Faster and Less is More: Efficient Sparse Attention for Long-Range Transformers",
    kind="mixer",
    arxiv="2406.16747",
    year=2024,
    modalities=("text",),
    notes=(
        "Built from the abstract and the catalogue: no outside implementation was at hand. The scoring net is one linear map a head.",
        "Values are weighted by p, as the catalogue says, and pairs with p = 0 have no part in the softmax.",
    ),
)
PARTS = "model__backbone__blocks__0__parts__0__parts"
local = part(CausalLocalAttention, heads=2, window=64, width=32)
best = part(SparseKAttention, heads=2, k=16, slots=32, width=32)
block = part(PreNorm, parts=(part(Parallel, parts=(local, best)), part(MLP)))
RECIPE = language_model(
    dim=128,
    depth=4,
    blocks=(block,),
    tiny=(*LM_TINY, (f"{PARTS}__0__window", 4), (f"{PARTS}__1__k", 4), (f"{PARTS}__1__slots", 8)),
)
SMALL: dict[str, int] = {
    "dim": 32,
    "model__backbone__depth": 2,
    f"{PARTS}__0__heads": 1,
    f"{PARTS}__0__window": 8,
    f"{PARTS}__1__heads": 1,
    f"{PARTS}__1__k": 8,
    f"{PARTS}__1__slots": 10,
    "stages__0__train__batch": 32,
}
CLAIM = Claim(
    "scores that learn through the mask recall more than scores that cannot (k = slots, so p = 1), with the same state",
    experiment="recall",
    against="sparsek",
    metric="accuracy",
    better="higher",
    margin=0.02,
    settings={
        "pairs": 4,
        "length": 64,
        "keys": 32,
        "values": 16,
        "fillers": 16,
        "seeds": 3,
        "train": SMALL | {"stages__0__train__steps": 1000},
        "baseline": {f"{PARTS}__1__k": 10},
        "grid": {"stages__0__train__lr": (5e-3, 1e-2)},
        "live": {"train": SMALL | {"stages__0__train__steps": 100}, "grid": {"stages__0__train__lr": (1e-2,)}},
    },
)
