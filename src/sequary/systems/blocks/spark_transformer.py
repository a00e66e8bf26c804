"""Spark Transformer: cheap scores say which neurons of the feed-forward and which keys of attention act; the others need no work.

The scores come from the first r features alone, y = W2 (gelu(topk(K1 x[:r])) ⊙ K2 x[r:]), and so does the choice of keys from the
first r features of each head. topk is statistical: what lies above θ = mean + deviation · Φ⁻¹(1 − k/n), without sorting.
No parameters are added, and the share that acts is set beforehand.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.contracts import Mixer
from sequary.core.part import Part, part
from sequary.core.recipe import Recipe
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.attention.spark import SparkAttention
from sequary.mixers.mlp.geglu import GEGLU
from sequary.mixers.mlp.spark import SparkMLP

CARD = Card(
    id="spark-transformer",
    title="Spark Transformer: Reactivating Sparsity in FFN and Attention",
    kind="block",
    arxiv="2506.06644",
    year=2025,
    aliases=("spark-transformer-dense", "spark-transformer-ffn"),
    modalities=("text", "any"),
    notes=(
        "The text of the paper was not at hand: that the second part of queries and keys enters by softplus times the softmax of the "
        "first, its scales, and rotary positions for each part are ours.",
        "Parity is with transformers' Gemma3nTextMLP, which has the statistical top-k alone, over a full projection.",
        "What does not act is computed and is 0: the work is saved by kernels that gather rows, which are not built.",
        "Declined: a hidden_activation other than those that the converter names.",
    ),
)


def _model(attention: Part[Mixer], mlp: Part[Mixer]) -> Recipe:
    return language_model(dim=128, depth=4, blocks=(part(PreNorm, parts=(attention, mlp)),))


spark = part(SparkMLP, active=0.08)
RECIPE = _model(part(SparkAttention, heads=4, keys=32), spark)
VARIANTS = {
    "spark-transformer-dense": _model(part(CausalAttention, heads=4), part(GEGLU)),
    "spark-transformer-ffn": _model(part(CausalAttention, heads=4), spark),
}
TRAIN = {"dim": 64, "model__backbone__depth": 2, "stages__0__train__batch": 8}
CLAIM = Claim(
    "with 8 % of its neurons and about 32 keys it needs at most 0.06 bits (2 %) more than the dense block of equal parameters",
    experiment="twin_text",
    against="spark-transformer-dense",
    metric="bits",
    margin=-0.06,
    settings={
        "context": 128,
        "judged": 50_000,
        "seeds": 10,
        "train": {**TRAIN, "stages__0__train__steps": 2000},
        "grid": {"stages__0__train__lr": (3e-3, 1e-2)},
        "live": {
            "judged": 10_000,
            "train": {**TRAIN, "stages__0__train__steps": 80},
            "grid": {"stages__0__train__lr": (3e-3,)},
        },
    },
)
