"""AnomalyBERT: learn what is abnormal from normal data alone, by degrading it.

A span of a window is replaced by one of four outliers (blended with another span, one value, a spike, another speed); a
transformer over patches, whose attention has a learned bias for each offset, gives each time point a logit, trained by binary
cross-entropy against the degraded span. At test time the same head scores real data.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.point_scores import PointScores
from sequary.mixers.attention.relative import RelativeAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.series import SeriesEncoder
from sequary.objectives.degradation import Degradation
from sequary.tokens.joint_patches import JointPatches

CARD = Card(
    id="anomalybert",
    title="AnomalyBERT: Self-Supervised Transformer for Time Series Anomaly Detection using Data Degradation Scheme",
    kind="timeseries",
    arxiv="2305.04468",
    year=2023,
    modalities=("timeseries",),
    notes=(
        "The authors' repository states no licence; only its layout of weights is used, by the converter.",
        "There windows have exactly max_seq_len patches; here offsets beyond the table share its last entry.",
        "Chances and sizes of the four outliers are ours.",
        "Declined: a positional_encoding of a name that the source does not know.",
    ),
)
block = part(
    PreNorm,
    parts=(
        part(RelativeAttention, heads=8, span=FromData("context"), dropout=0.1),
        part(MLP, ratio=4, dropout=0.1),
    ),
    norm=part(LayerNorm, eps=1e-6),
)
RECIPE = Recipe(
    dim=64,
    model=part(
        SeriesEncoder,
        tokens=part(JointPatches, channels=FromData("channels"), patch=2),
        backbone=part(Stack, depth=3, blocks=(block,)),
        head=part(PointScores, patch=2, hidden=256),
    ),
    stages=(Stage(objective=Degradation(), train=Train(lr=1e-3, batch=32, steps=2000, warmup=0.05)),),
    tiny=(
        ("dim", 16),
        ("model__backbone__depth", 1),
        ("model__backbone__blocks__0__parts__0__heads", 2),
        ("model__head__hidden", 32),
    ),
)
TUNE = {"stages__0__train__lr": (1e-3, 3e-4)}
CLAIM = Claim(
    "Four kinds of degradation find unseen faults better than any one of them",
    experiment="detection",
    against="anomalybert with the best single kind",
    metric="auroc",
    better="higher",
    margin=0.002,
    settings={
        "seeds": 10,
        "channels": 5,
        "steps": 4000,
        "tested": 12_000,
        "context": 64,
        "faults": ("trend", "frequency", "correlation"),
        "train": {"dim": 32, "model__backbone__depth": 2, "stages__0__train__steps": 600},
        "grid": {"stages__0__train__lr": (1e-3, 3e-3)},
        "live": {"train": {"dim": 32, "model__backbone__depth": 2, "stages__0__train__steps": 350}},
    },
)
