"""A multi-scale transformer: each attention head has a window of its own, narrow ones mostly below, wide ones mostly above.

o_{t,h} = Σ_s softmax_s(q_t·k_s / √K) v_s over |s − t| <= reach_h. The prior that words make phrases before they make sentences helps
where labelled text is scarce. How many heads have which width is set for each layer (`schedule`). Built from the abstract and the
catalogue's description: the widths and their counts are ours.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.postnorm import PostNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, Part, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.pooled import FirstTokenClass
from sequary.mixers.attention.scales import MultiScaleAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.text_classifier import TextClassifier
from sequary.objectives.classify import Classify
from sequary.tokens.symbols import Embedding

CARD = Card(
    id="multi-scale-transformer",
    title="Multi-Scale Self-Attention for Text Classification",
    kind="mixer",
    arxiv="1912.00544",
    year=2019,
    modalities=("text",),
    notes=("The widths and how many heads have which in which layer are ours.",),
)


def block(*reaches: int | None) -> Part[PostNorm]:
    return part(PostNorm, parts=(part(MultiScaleAttention, reaches=reaches, dropout=0.1), part(MLP, dropout=0.1)))


schedule = (block(1, 1, 3, None), block(1, 3, 8, None), block(3, 8, None, None))
RECIPE = Recipe(
    dim=128,
    model=part(
        TextClassifier,
        tokens=part(Embedding, vocab=FromData("vocab"), positions=512),
        backbone=part(Stack, depth=3, blocks=schedule),
        head=part(FirstTokenClass, classes=FromData("classes")),
    ),
    stages=(Stage(objective=Classify(), train=Train(lr=1e-3, batch=32, steps=1000, warmup=0.1)),),
    tiny=(("dim", 16), ("model__tokens__positions", 64), ("model__backbone__depth", 1)),
)
CLAIM = Claim(
    "a head lays no weight outside its window, layers read exactly the sum of their windows, and with all tokens in sight it is full "
    "attention",
    experiment="multi_scale",
    against="full attention",
    metric="outside",
    margin=0.01,
    settings={"reaches": (1, 2, 4, 4), "depth": 2, "dim": 16, "length": 24, "tolerance": 1e-12, "seeds": 5},
)
