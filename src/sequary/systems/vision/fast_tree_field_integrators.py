"""Fast tree-field integrators: y_i = Σ_j f(d(i, j)) x_j over the vertices of a tree, exactly and in nearly linear time.

Split at a pivot, paths between the halves have lengths a_i + b_j, and f(a_i + b_j) has a fast product: of rank 1 for exponentials, of low
rank for polynomials, a Hankel matrix (FFT) for any f of whole distances. A topological transformer masks linear attention by
f = exp(polynomial of the distance on a spanning tree of the image's grid): with three numbers a layer, attention knows where things are,
and its time stays nearly linear.
"""

from sequary.backbones.pyramid import Pyramid
from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.mixers.linear.topological import TopologicalAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.classifier import ImageClassifier
from sequary.objectives.classify import Classify
from sequary.tokens.patches2d import Patches

CARD = Card(
    id="fast-tree-field-integrators",
    title="Fast Tree-Field Integrators: From Low Displacement Rank to Topological Transformers",
    kind="mixer",
    modalities=("graph", "image", "3d", "any"),
    notes=(
        "Fields: exponentials, polynomials, and tables of whole distances, which hold any f. Rational f (Cauchy-like matrices) and the "
        "paper's approximate integrators are left out.",
        "Neighbouring cells of a grid are 1 apart, so that all its spanning trees have the least weight; ours joins the cells of each row, "
        "and the rows by their first cells. Distances are divided by the sum of the sides before the polynomial is taken.",
        "The accuracy of topological transformers on images is not tried; the claim is of the integrator.",
    ),
)
block = part(PreNorm, parts=(part(TopologicalAttention, heads=4), part(MLP, ratio=2)), norm=part(LayerNorm))
RECIPE = Recipe(
    dim=64,
    model=part(
        ImageClassifier,
        tokens=part(Patches, channels=FromData("channels"), patch=2),
        backbone=part(Pyramid, stages=(part(Stack, depth=4, blocks=(block,)),)),
        head=part(Categorical, vocab=FromData("classes"), bias=True),
    ),
    stages=(Stage(objective=Classify(), train=Train(lr=1e-3, batch=64, steps=2000, weight_decay=0.05, warmup=0.1)),),
    tiny=(("dim", 16), ("model__backbone__stages__0__depth", 1)),
)
CLAIM = Claim(
    "exponential, polynomial and tabled fields on long random trees equal the product with the whole matrix, and their time grows "
    "nearly linearly where the matrix's grows with the square",
    experiment="tree_fields",
    against="the product with the whole matrix",
    metric="exponent",
    margin=0.3,
    settings={
        "lengths": (500, 1000, 2000, 4000), "back": 10, "channels": 16, "repeats": 7, "near_linear": 1.4, "seeds": 3,
        "live": {"lengths": (500, 1000, 2000), "repeats": 5},
    },
)  # fmt: skip
