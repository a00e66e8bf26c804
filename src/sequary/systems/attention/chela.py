"""CHELA: a short and a long convolution feed the queries and keys of a causal linear attention, inside Mega's gates.

m = long(SiLU(short(y))), y = norm(x): the long kernel gets coarser and smaller with distance; z = SiLU(W_z m), q and k scaled and
shifted copies of it, v = SiLU(W_v y); S_t = S_{t-1} + k_t v_tᵀ, o_t = norm(S_tᵀ q_t); x ← x + σ(W_φ m) ⊙ (SiLU(W_h m + U (SiLU(W_γ m)
⊙ o)) − x). The convolutions emphasise what is near, as state spaces do, without their constraints; time is linear throughout.
"""

from sequary.blocks.chain import Chain
from sequary.blocks.mega import Mega
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.contracts import Recurrent
from sequary.core.part import Part, part
from sequary.core.recipe import Recipe
from sequary.mixers.attention.linear_reader import LinearReader
from sequary.mixers.conv.long import LongConv, ShortLongConv
from sequary.mixers.identity import Identity
from sequary.mixers.mlp.activated import ActivatedMLP
from sequary.mixers.mlp.activations import SiLU

CARD = Card(
    id="chela",
    title="Short-Long Convolutions Help Hardware-Efficient Linear Attention to Focus on Long Sequences",
    kind="mixer",
    arxiv="2406.08128",
    year=2024,
    aliases=("chela-short", "chela-linear"),
    modalities=("text", "image", "any"),
    notes=(
        "No code of the authors' is at hand. That SiLU stands between the convolutions is from reviews of the paper, the catalogue has "
        "them added up; the form of the long kernel (SGConv's), its norm and the gates, which are Mega's, are ours.",
        "Causal; the paper's tiling for a GPU's memory is here the chunked form of linear attention.",
    ),
)


def _model(conv: Part[Recurrent], ratio: float = 2) -> Recipe:
    mlp = part(ActivatedMLP, activation=part(SiLU), ratio=ratio, bias=True)
    parts = (part(Mega, average=conv, read=part(LinearReader)), part(PreNorm, parts=(mlp,), norm=part(LayerNorm)))
    return language_model(dim=128, depth=4, blocks=(part(Chain, parts=parts),), norm=part(LayerNorm))


RECIPE = _model(part(ShortLongConv, long=part(LongConv, width=8, scales=4)))
VARIANTS = {
    "chela-short": _model(part(ShortLongConv, long=part(Identity)), ratio=2.25),
    "chela-linear": _model(part(Identity), ratio=2.25),
}
TRAIN = {"dim": 64, "model__backbone__depth": 2, "stages__0__train__batch": 8}
CLAIM = Claim(
    "a long convolution behind the short one saves bits over the short one alone, in blocks of linear attention of equal size",
    experiment="twin_text",
    against="chela-short",
    metric="bits",
    margin=0.01,
    settings={
        "context": 256,
        "judged": 50_000,
        "seeds": 3,
        "beside": ("chela-linear",),
        "train": {**TRAIN, "stages__0__train__steps": 500},
        "grid": {"stages__0__train__lr": (3e-3, 1e-3)},
        "live": {
            "context": 128,
            "judged": 5_000,
            "train": {**TRAIN, "stages__0__train__steps": 60},
            "grid": {"stages__0__train__lr": (3e-3,)},
        },
    },
)
