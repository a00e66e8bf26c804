"""LongVQ: moving averages remember, and attention reads through a codebook: softmax over keys rounded to a few codes, in linear time.

m = SiLU(average(y) + ω ⊙ y), y = norm(x), damped averages as the structured memory; q and k are scaled and shifted copies of SiLU(W_z m);
o_t = Σ_{s<=t} softmax_s(q_t·c(k_s) / √Z) v_s with c(k) the nearest of S codes, so that sums and counts of S codes are all that is
kept; gates as in Mega.
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
from sequary.mixers.attention.quantised_reader import OwnValue, QuantisedReader
from sequary.mixers.attention.single_head import Reader
from sequary.mixers.identity import Identity
from sequary.mixers.mlp.activated import ActivatedMLP
from sequary.mixers.mlp.activations import SiLU
from sequary.mixers.ssm.moving_average import SkippedAverage

CARD = Card(
    id="longvq",
    title="LongVQ: Long Sequence Modeling with Vector Quantization on Structured Memory",
    kind="mixer",
    arxiv="2404.11163",
    year=2024,
    aliases=("longvq-average", "longvq-attention"),
    modalities=("text", "image", "audio"),
    notes=(
        "Built from the abstract and reviews. The window of recent tokens with a bias of its own is left out, the gates are Mega's.",
        "Codes are learnt by what they do to the loss: the softmax of distances passes the choice's gradient on, and there is no "
        "commitment loss and no moving average of the codebook.",
    ),
)


def _model(average: Part[Mixer], read: Part[Reader]) -> Recipe:
    mlp = part(ActivatedMLP, activation=part(SiLU), ratio=2, bias=True)
    parts = (part(Mega, average=average, read=read), part(PreNorm, parts=(mlp,), norm=part(LayerNorm)))
    return language_model(dim=128, depth=4, blocks=(part(Chain, parts=parts),), norm=part(LayerNorm))


quantised = part(QuantisedReader, codes=32)
RECIPE = _model(part(SkippedAverage), quantised)
VARIANTS = {
    "longvq-average": _model(part(SkippedAverage), part(OwnValue)),
    "longvq-attention": _model(part(Identity), quantised),
}
TRAIN = {"dim": 64, "model__backbone__depth": 2, "stages__0__train__batch": 8}
CLAIM = Claim(
    "attention through a codebook saves bits over the averages and gates alone; the attention alone is noted beside",
    experiment="twin_text",
    against="longvq-average",
    metric="bits",
    margin=0.01,
    settings={
        "context": 128,
        "judged": 50_000,
        "seeds": 6,
        "beside": ("longvq-attention",),
        "train": {**TRAIN, "stages__0__train__steps": 600},
        "grid": {"stages__0__train__lr": (3e-3, 1e-3)},
        "live": {
            "judged": 5_000,
            "train": {**TRAIN, "stages__0__train__steps": 60},
            "grid": {"stages__0__train__lr": (3e-3,)},
        },
    },
)
