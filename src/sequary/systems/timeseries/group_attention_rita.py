"""RITA: attention whose keys are taken in groups of similar ones, made anew by a few rounds of k-means in every row and head.

o_t = Σ_j e^{q_t·r_j / √K} Σ_{s in j} v_s / Σ_j c_j e^{q_t·r_j / √K}, r_j the mean and c_j the number of the keys of group j:
n·groups scores, and exact where the keys of a group coincide, as in a periodic series. Around it steps of the series as tokens,
pre-training by filling in masked spans, and a classifier of all tokens.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.postnorm import PostNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.heads.flat import Flat
from sequary.heads.values import Values
from sequary.mixers.attention.grouped_keys import GroupAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.series import SeriesEncoder
from sequary.objectives.classify import Classify
from sequary.objectives.masked_values import MaskedValues
from sequary.tokens.joint_patches import JointPatches
from sequary.tokens.positions import LearnedPositions

CARD = Card(
    id="group-attention-rita",
    title="RITA: Group Attention is All You Need for Timeseries Analytics",
    kind="mixer",
    modalities=("timeseries",),
    notes=(
        "The number of groups is fixed: the scheduler that merges groups while a bound allows it, and the batch size that it frees, are "
        "left out.",
        "Tokens are single steps mapped linearly; patches of several steps are JointPatches(patch=…).",
        "No outside implementation was at hand.",
    ),
)
block = part(PostNorm, parts=(part(GroupAttention, heads=4, groups=16), part(MLP)))
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
    tiny=(("dim", 16), ("model__backbone__depth", 1), ("model__backbone__blocks__0__parts__0__groups", 6)),
)
CLAIM = Claim(
    "keys taken for the mean of their k-means group give full attention within the bound of the groups' radius, random groups do not",
    experiment="group_bound",
    against="random groups",
    metric="error",
    margin=0.05,
    settings={"length": 512, "dim": 16, "groups": 16, "rounds": 5, "jitter": 0.1, "seeds": 5},
)
