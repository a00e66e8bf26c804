"""TST: a transformer encoder over the steps of a multivariate series, pre-trained by filling in masked spans.

u_t = W x_t + p_t with learned p; post-norm layers with batch norm; first stage: in each channel spans of geometric length
(mean 3, 15 % of the entries) are set to 0, and squared error counts on them alone. Second stage: all step vectors side by
side, 0 at padding, and a linear map to classes (or to real targets).
"""

from sequary.backbones.stack import Stack
from sequary.blocks.norms import BatchNorm
from sequary.blocks.postnorm import PostNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.heads.flat import Flat
from sequary.heads.values import Values
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP
from sequary.models.series import SeriesEncoder
from sequary.objectives.classify import Classify
from sequary.objectives.masked_values import MaskedValues
from sequary.tokens.joint_patches import JointPatches
from sequary.tokens.positions import LearnedPositions

CARD = Card(
    id="tst-mvts",
    title="A Transformer-based Framework for Multivariate Time Series Representation Learning",
    kind="timeseries",
    arxiv="2010.02803",
    year=2020,
    modalities=("timeseries",),
    notes=(
        "The authors' code multiplies the projected input by sqrt(d_model); the converter folds that into the weights.",
        "There padding counts in the batch statistics while training; here it does not.",
        "Regression: the head's part is Values instead of Categorical; Classify takes its squared error as it is.",
    ),
)
block = part(
    PostNorm,
    parts=(part(Attention, heads=8, dropout=0.1), part(MLP, ratio=2, dropout=0.1)),
    norm=part(BatchNorm),
)
RECIPE = Recipe(
    dim=64,
    model=part(
        SeriesEncoder,
        tokens=part(JointPatches, channels=FromData("channels"), patch=1),
        positions=part(LearnedPositions, length=FromData("context")),
        backbone=part(Stack, depth=3, blocks=(block,)),
        activation="gelu",
        head=part(Flat, tokens=FromData("context"), head=part(Categorical, vocab=FromData("classes"), bias=True)),
        pretrain=part(Values, outputs=FromData("channels")),
    ),
    stages=(
        Stage(objective=MaskedValues(head="pretrain"), train=Train(lr=1e-3, batch=64, steps=2000), name="pretrain"),
        Stage(objective=Classify(), train=Train(lr=1e-3, batch=64, steps=1000, patience=5), name="tune"),
    ),
    tiny=(("dim", 16), ("model__backbone__depth", 1), ("model__backbone__blocks__0__parts__0__heads", 2)),
)
TUNE = {"stages__1__train__lr": (1e-3, 3e-4)}
CLAIM = Claim(
    "filling in masked spans of the same few labelled series first makes the classifier more accurate",
    experiment="classification",
    against="tst-mvts without its first stage",
    metric="accuracy",
    better="higher",
    margin=0.02,
    settings={
        "labels": 60,
        "validation": 300,
        "test": 1500,
        "context": 24,
        "steps": (400, 100),
        "grid": (1e-3, 3e-4, 3e-3),
        "seeds": 10,
        "live": {"test": 500, "grid": (1e-3,), "steps": (150, 75)},
    },
)
