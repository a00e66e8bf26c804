"""Axial Transformer: attention along one axis of an image at a time, autoregressive in raster order.

o = softmax(q kᵀ/√K) v inside each line: N·√N for a square. Outer stack: unmasked rows, then masked columns, shifted down one
row: every earlier row, for all pixels at once. Inner stack: masked rows over the input shifted right one cell, plus that
context. So pixel (i, j) is predicted from exactly the pixels before it.
"""

from sequary.backbones.axial_raster import AxialRaster
from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.axial import AxialAttention, MaskedAxialAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.raster import RasterModel
from sequary.objectives.tokens import NextToken
from sequary.tokens.symbols import Embedding

CARD = Card(
    id="axial-attention",
    title="Axial Attention in Multidimensional Transformers",
    kind="mixer",
    arxiv="1912.12180",
    year=2019,
    modalities=("image", "video", "any"),
    notes=(
        "Each symbol of a pixel is predicted at once; the paper's split of channels into slices is left out.",
        "The package axial-attention (third-party) has the unmasked attention only; its image transformer has convolutions.",
        "Declined: num_dimensions above 3, which our grids have not; dim_index other than 1 of AxialImageTransformer, whose "
        "convolutions read axis 1.",
    ),
)
rows, columns = part(AxialAttention, heads=8, axis=-1), part(MaskedAxialAttention, heads=8, axis=-2)
outer = part(PreNorm, parts=(rows, part(MLP), columns, part(MLP)), norm=part(LayerNorm))
inner = part(PreNorm, parts=(part(MaskedAxialAttention, heads=8, axis=-1), part(MLP)), norm=part(LayerNorm))
RECIPE = Recipe(
    dim=256,
    model=part(
        RasterModel,
        tokens=part(Embedding, vocab=FromData("vocab")),
        backbone=part(
            AxialRaster,
            grid=FromData("grid"),
            outer=part(Stack, depth=4, blocks=(outer,)),
            inner=part(Stack, depth=4, blocks=(inner,)),
        ),
        head=part(Categorical, vocab=FromData("vocab"), bias=True),
    ),
    stages=(Stage(objective=NextToken(), train=Train(lr=1e-3, batch=32, steps=2000, warmup=0.1)),),
    tiny=(
        ("dim", 32),
        ("model__backbone__grid", (4, 6)),
        ("model__backbone__outer__depth", 1),
        ("model__backbone__inner__depth", 1),
    ),
)
CLAIM = Claim(
    "the logits of a pixel depend on every earlier pixel and on no later one, with one outer and one inner block; a model of "
    "masked rows alone misses the rows above",
    experiment="pixels_seen",
    against="as many blocks of masked rows",
    metric="pixels_seen",
    better="higher",
    settings={"grid": (5, 6), "dim": 32, "vocab": 11, "seeds": 5},
)
