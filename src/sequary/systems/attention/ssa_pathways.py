"""Stochastically subsampled attention: a transformer learns on random parts of its keys, then a little on all of them.

o_t = Σ_{s in S, s<=t} softmax_s(q_t·k_s / √K) v_s, S a random `share` of the positions, drawn for each layer and step: each draw is a
sparse sub-network (a pathway), a quarter of the scores' memory and time. A short last stage tunes the dense model, which is used; the mean
over the predictions of several draws is an ensemble of pathways. Here S is drawn without bias, once for all rows of a batch.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import SPEAKING, language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.core.recipe import Stage
from sequary.mixers.attention.pathways import PathwayAttention
from sequary.mixers.mlp.swiglu import SwiGLU
from sequary.objectives.pathways import OnPathways
from sequary.objectives.tokens import NextToken

CARD = Card(
    id="ssa-pathways",
    title="The Information Pathways Hypothesis: Transformers are Dynamic Self-Ensembles",
    kind="mixer",
    arxiv="2306.01705",
    year=2023,
    aliases=("ssa-dense",),
    modalities=("any", "text", "image", "graph"),
    notes=(
        "Of the two ways of drawing, the unbiased one; the paper's other one shuffles tokens and attends in windows.",
    ),
)
block = part(PreNorm, parts=(part(PathwayAttention, heads=4, share=0.25), part(SwiGLU)))
DENSE = language_model(dim=128, depth=4, blocks=(block,))
RECIPE = DENSE.but(
    stages=(
        Stage(objective=OnPathways(NextToken()), train=SPEAKING, name="pathways"),
        Stage(objective=NextToken(), train=SPEAKING, name="dense"),
    ),
    stages__0__train__steps=1600,
    stages__1__train__steps=400,
    stages__1__train__lr=3e-4,
)
VARIANTS = {"ssa-dense": DENSE}
CLAIM = Claim(
    "learning four fifths of the steps on a quarter of the keys ends no worse than learning on all of them, and eight pathways together "
    "say more than one",
    experiment="pathways",
    against="ssa-dense",
    metric="bits",
    margin=-0.02,
    settings={
        "context": 128,
        "judged": 20_000,
        "passes": 8,
        "steps": (400, 100),
        "seeds": 3,
        "train": {"stages__0__train__batch": 8, "stages__0__train__lr": 3e-3},
        "live": {"judged": 2_000, "steps": (40, 10)},
    },
)
