"""Attention without skips or feed-forwards loses rank doubly exponentially with depth: its tokens become all alike.

‖res(X_{l+1})‖ ≤ c ‖res(X_l)‖³ for attention alone, res(X) = X − 1 xᵀ the distance to a matrix of equal rows. Skips, or feed-forwards
with enough gain, prevent it. The host is an attention-only stack; `VARIANTS` adds the skips.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.chain import Chain
from sequary.blocks.norms import NoNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.core.recipe import Recipe, Stage
from sequary.heads.pooled import FirstTokenClass
from sequary.mixers.attention.full import Attention
from sequary.models.text_classifier import TextClassifier
from sequary.objectives.classify import Classify
from sequary.probe.paths import Paths
from sequary.probe.rank_collapse import RankCollapse
from sequary.tokens.symbols import Embedding

CARD = Card(
    id="attention-rank-collapse",
    title="Attention is Not All You Need: Pure Attention Loses Rank Doubly Exponentially with Depth",
    kind="analysis",
    arxiv="2103.03404",
    year=2021,
    aliases=("attention-rank-collapse-skips",),
    modalities=("any",),
    notes=(
        "The residual here is taken about the mean token, as in the authors' notebooks; the paper's is about the minimiser.",
        "Two composite norms stand in the authors' code, with and without the root; ours has it.",
        "Declined: is_decoder and add_cross_attention, since the study is of encoders; a hidden_act other than gelu, relu, swish, gelu_new "
        "and mish, which the source has not.",
    ),
)
attention = part(Attention, heads=4, bias=False)
RECIPE = Recipe(
    dim=32,
    model=part(
        TextClassifier,
        tokens=part(Embedding, vocab=64, positions=64),
        backbone=part(Stack, depth=12, blocks=(part(Chain, parts=(attention,)),)),
        head=part(FirstTokenClass, classes=2),
    ),
    stages=(Stage(objective=Classify()),),
    probes=(RankCollapse(),),
    tiny=(("model__backbone__depth", 2),),
)
skips = part(PreNorm, parts=(attention,), norm=part(NoNorm))
VARIANTS = {
    "attention-rank-collapse-skips": RECIPE.but(
        model__backbone__blocks=(skips,), model__backbone__depth=3, probes=(RankCollapse(), Paths())
    ),
}
CLAIM = Claim(
    "without skips the residual falls at an accelerating rate with depth, and with skips it does not; feed-forwards slow the fall "
    "only where they amplify enough",
    experiment="rank_collapse",
    against="attention-rank-collapse-skips",
    metric="acceleration",
    better="higher",
    settings={"tokens": 16, "rows": 4, "depth": 12, "gain": 64.0, "seeds": 5},
)
