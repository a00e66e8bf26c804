"""MemoryFormer: all linear maps of a transformer become look-ups; what is left to multiply is attention's own products.

y = b + Σ_k p_k T_k[h_k]: the input is cut into chunks z_k, the signs of a chunk are the address h_k of a row in its table, and
p_k = Π_i σ(2 |z_k,i| / t) is how surely it lies there. Reading costs chunks · outputs multiplications, a dense map inputs · outputs.
The feed-forward is two such layers, the second with more bits a chunk. Where tables begin and the temperature are ours.
"""

from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.contracts import Mixer
from sequary.core.part import Part, part
from sequary.core.recipe import Recipe
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.attention.hashed import HashedAttention
from sequary.mixers.mlp.dense import MLP
from sequary.mixers.mlp.hashed import HashedMLP

CARD = Card(
    id="memoryformer",
    title="MemoryFormer: Minimize Transformer Computation by Removing Fully-Connected Layers",
    kind="block",
    arxiv="2411.12992",
    year=2024,
    aliases=("memoryformer-dense",),
    modalities=("text",),
    notes=(
        "The authors' code multiplies the score by the sum of magnitudes and has no temperature; ours is the paper's product.",
        "The recipe's tables hold more parameters than the dense maps that they replace: the claim is of work, not of size.",
        "Declined: a projection_type other than dense, which the source does not know either.",
    ),
)


def _model(attention: Part[Mixer], mlp: Part[Mixer]) -> Recipe:
    block = part(PreNorm, parts=(attention, mlp), norm=part(LayerNorm))
    return language_model(dim=128, depth=4, blocks=(block,), norm=part(LayerNorm)).but(
        tiny=(("dim", 32), ("model__backbone__depth", 1), ("model__tokens__vocab", 32), ("model__head__vocab", 32))
    )


RECIPE = _model(part(HashedAttention, heads=4, bits=8), part(HashedMLP, bits=8, more=2))
VARIANTS = {"memoryformer-dense": _model(part(CausalAttention, heads=4, bias=True), part(MLP))}
TRAIN = {"dim": 64, "model__backbone__depth": 2, "stages__0__train__batch": 8}
CLAIM = Claim(
    "with look-ups in place of all linear maps of its blocks it stays within 0.45 bits (15 %) of the dense model",
    experiment="twin_text",
    against="memoryformer-dense",
    metric="bits",
    margin=-0.45,
    settings={
        "context": 128,
        "judged": 50_000,
        "seeds": 6,
        "apart": 50.0,
        "train": {**TRAIN, "stages__0__train__steps": 600},
        "grid": {"stages__0__train__lr": (1e-3, 3e-3)},
        "live": {
            "judged": 10_000,
            "train": {**TRAIN, "stages__0__train__steps": 80},
            "grid": {"stages__0__train__lr": (3e-3,)},
        },
    },
)
