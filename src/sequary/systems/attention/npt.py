"""Non-Parametric Transformer: a whole table is the input, and attention runs between its rows as well as inside them.

Layers alternate: each row as one token of all its cells, x ← R x + W_o softmax((W_q LN x)(W_k x)ᵀ/√D) W_v x over the rows, then the
same over the cells of each row; after either x ← x + MLP(LN x). Some cells are hidden and predicted, so the answer for a row may read
rows whose answer is there. Here all columns are symbols of one vocabulary: the first layer, whose maps tell columns apart, stands for
the source's embedding of each column.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.chain import Chain
from sequary.blocks.mapped_residual import MappedResidual
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.query_normed import QueryNormedAttention
from sequary.mixers.mlp.dense import MLP
from sequary.mixers.tables import BetweenRows, InsideRows
from sequary.models.encoder import TokenEncoder
from sequary.objectives.masked_tokens import MaskedTokens
from sequary.tokens.symbols import Embedding

CARD = Card(
    id="npt",
    title="Self-Attention Between Datapoints: Going Beyond Individual Input-Output Pairs in Deep Learning",
    kind="mixer",
    arxiv="2106.02584",
    year=2021,
    aliases=("non-parametric transformer",),
    modalities=("tabular", "image"),
    notes=(
        "As in the authors' code the norm before attention reaches the queries alone, scores are divided by the root of the "
        "whole width (of a row, all its cells), and the stream goes through a linear map of its own.",
        "The recipe takes tables of symbols; the converter takes columns of any encodings, numbers too. Where a table has as "
        "many rows as columns the source exchanges the two before it answers; the converter does the same.",
        "Declined: model_image_n_patches, whose patcher reads settings beside those of the model.",
    ),
)
columns = FromData("columns")
attention = part(MappedResidual, parts=(part(QueryNormedAttention, heads=8),))
block = part(Chain, parts=(attention, part(PreNorm, parts=(part(MLP),), norm=part(LayerNorm))))
RECIPE = Recipe(
    dim=64,
    model=part(
        TokenEncoder,
        tokens=part(Embedding, vocab=FromData("vocab")),
        backbone=part(
            Stack, depth=8, blocks=tuple(part(m, inner=block, columns=columns) for m in (BetweenRows, InsideRows))
        ),
        head=part(Categorical, vocab=FromData("vocab"), bias=True),
    ),
    stages=(Stage(objective=MaskedTokens(), train=Train(lr=1e-3, batch=16, steps=2000, warmup=0.1)),),
    tiny=(
        ("dim", 16),
        ("model__backbone__depth", 2),
        ("model__backbone__blocks__0__columns", 4),
        ("model__backbone__blocks__1__columns", 4),
    ),
)
HEADS = (f"model__backbone__blocks__{n}__inner__parts__0__parts__0__heads" for n in (0, 1))
SMALL = {"dim": 16, "model__backbone__depth": 4, "stages__0__train__batch": 32, **dict.fromkeys(HEADS, 4)}
CLAIM = Claim(
    "labels that stand only at a copy of the row elsewhere in the table are looked up by attention between rows; the same "
    "network whose rows do not meet, a larger feed-forward in its place, guesses",
    experiment="row_lookup",
    against="the same without attention between rows",
    metric="accuracy",
    better="higher",
    margin=0.1,
    settings={
        "rows": 8, "features": 3, "values": 4, "labels": 5, "tested": 500, "seeds": 3,
        "train": SMALL | {"stages__0__train__steps": 1500},
        "grid": {"stages__0__train__lr": (1e-3, 3e-3)},
        "live": {"train": SMALL | {"stages__0__train__steps": 300}, "grid": {"stages__0__train__lr": (3e-3,)}},
    },
)  # fmt: skip
