"""SELF-Transformer: an encoder whose attention is repeated on its own output until the output stays, at no parameter more.

Z ← softmax(Q(x + Z) K(x + Z)ᵀ / √K) V(x) from Z = 0, y = W_o Z*: what mixes the tokens is chosen by the mixture, and the first round is
plain attention. Rounds end where nothing moves, so that inputs decide how much is computed. Gradients are taken at the fixed point,
gᵀ (I − J)⁻¹ ∂f, and nothing of the way is kept.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.pooled import FirstTokenClass
from sequary.mixers.attention.fixed_point import FixedPointAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.text_classifier import TextClassifier
from sequary.objectives.classify import Classify
from sequary.tokens.symbols import Embedding

CARD = Card(
    id="self-transformer-fixed-point",
    title="Change of Thought: Adaptive Test-Time Computation",
    kind="block",
    arxiv="2507.13569",
    year=2025,
    modalities=("text", "any"),
    notes=(
        "Built from the abstract and summaries. There a head's state begins as its queries and is replaced by what it reads over fixed "
        "keys, and the limit depends on the queries' weights only through where it began; with queries and keys of the state alone, as the "
        "catalogue's row has it, all tokens agree on the mean of V, which is always a fixed point. So the input is in both here.",
        "Tokens that see each other stop together, by their own movement: rows, padding and packed neighbours do not change it.",
        "The map need not contract: with queries four times as large one draw in three has no rest within 200 rounds. Then rounds end "
        "at `most`, and the gradient's series where its terms grow. The claim is about maps that do contract.",
    ),
)
block = part(PreNorm, parts=(part(FixedPointAttention, heads=4), part(MLP)), norm=part(LayerNorm))
RECIPE = Recipe(
    dim=128,
    model=part(
        TextClassifier,
        tokens=part(Embedding, vocab=FromData("vocab"), positions=512),
        backbone=part(Stack, depth=3, blocks=(block,), norm=part(LayerNorm)),
        head=part(FirstTokenClass, classes=FromData("classes")),
    ),
    stages=(Stage(objective=Classify(), train=Train(lr=1e-3, batch=32, steps=1000, warmup=0.1)),),
    tiny=(("dim", 16), ("model__tokens__positions", 64), ("model__backbone__depth", 1)),
)
CLAIM = Claim(
    "rounds end at a fixed point, after more of them where its map contracts less, and the gradient is that of the limit to 1e-3, where "
    "one through the last round alone is not",
    experiment="fixed_points",
    against="the gradient of the last round",
    metric="log10_gradient_error",
    margin=1.0,
    settings={
        "dim": 16,
        "heads": 2,
        "tokens": 12,
        "rows": 4,
        "eps": 1e-5,
        "most": 200,
        "sharpness": (0.5, 1.0, 2.0),
        "tolerance": 1e-3,
        "seeds": 5,
    },
)
