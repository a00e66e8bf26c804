"""Mega: attention by a single head whose queries and keys come from moving averages, behind gates; in chunks it is linear in the length.

m = SiLU(average(y) + ω ⊙ y), y = norm(x), N damped averages a channel, h_t = α β y_t + (1 − α δ) h_{t-1}; q and k are scaled and
shifted copies of z = SiLU(W_z m), v = SiLU(W_v y); o = softmax(q kᵀ / √Z + b) v within chunks, across which the averages carry what
was; x ← x + σ(W_φ m) ⊙ (SiLU(W_h m + U (SiLU(W_γ m) ⊙ o)) − x). The averages bring the places and the locality that attention lacks.
"""

from sequary.blocks.chain import Chain
from sequary.blocks.mega import Mega
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.contracts import Mixer
from sequary.core.part import Part, part
from sequary.core.recipe import Recipe
from sequary.mixers.attention.position_bias import TableBias
from sequary.mixers.attention.single_head import SingleHead
from sequary.mixers.identity import Identity
from sequary.mixers.mlp.activated import ActivatedMLP
from sequary.mixers.mlp.activations import SiLU
from sequary.mixers.ssm.moving_average import SkippedAverage

CARD = Card(
    id="mega",
    title="Mega: Moving Average Equipped Gated Attention",
    kind="mixer",
    arxiv="2209.10655",
    year=2022,
    aliases=("mega-no-average",),
    modalities=("text", "audio", "image", "any"),
    notes=(
        "In the authors' code delta weighs what comes in; the paper calls it alpha. The two-sided average holds the present token "
        "twice, once from each side, as theirs does.",
        "Theirs cuts a kernel off after `truncation` steps where asked, and lets time pass at padding; both are in the converter only.",
    ),
)


def _model(average: Part[Mixer]) -> Recipe:
    read = part(SingleHead, chunk=64, bias=part(TableBias, span=64))
    mlp = part(ActivatedMLP, activation=part(SiLU), ratio=2, bias=True)
    parts = (part(Mega, average=average, read=read), part(PreNorm, parts=(mlp,), norm=part(LayerNorm)))
    return language_model(dim=128, depth=4, blocks=(part(Chain, parts=parts),), norm=part(LayerNorm))


RECIPE = _model(part(SkippedAverage))
VARIANTS = {"mega-no-average": _model(part(Identity))}
CLAIM = Claim(
    "moving averages before queries and keys save bits over the same block without them, its feed-forward as much wider",
    experiment="twin_text",
    against="mega-no-average",
    metric="bits",
    margin=0.02,
    settings={
        "context": 128,
        "judged": 50_000,
        "seeds": 3,
        "baseline": {"model__backbone__blocks__0__parts__1__parts__0__ratio": 2.5},
        "train": {"dim": 64, "model__backbone__depth": 2, "stages__0__train__batch": 8, "stages__0__train__steps": 600},
        "grid": {"stages__0__train__lr": (3e-3, 1e-3)},
        "live": {
            "judged": 10_000,
            "train": {
                "dim": 64,
                "model__backbone__depth": 2,
                "stages__0__train__batch": 8,
                "stages__0__train__steps": 80,
            },
            "grid": {"stages__0__train__lr": (3e-3,)},
        },
    },
)
