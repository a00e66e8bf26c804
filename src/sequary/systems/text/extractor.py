"""Extractors: in place of attention, a sum over the last tokens with a learnt weight for each lag, times what the current token asks for.

y_t = (b + Σ_{j<K} W_j x_{t−j}) ⊙ (A x_t + c). The strongest one (SHE) has a matrix for each lag; `extractor-he` has a vector,
`extractor-we` a number. No queries, keys or softmax. Built from the abstract, without the paper's text at hand: the fourth one (ME) is
left out, and that the sum reaches K tokens back, not to the start, is ours.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.contracts import Recurrent
from sequary.core.part import Part, part
from sequary.mixers.conv.adjusted import Adjusted
from sequary.mixers.conv.lags import MatrixLags, NumberLags
from sequary.mixers.conv.short import ShortConv
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="extractor",
    title="Attention Is Not All You Need Anymore",
    kind="mixer",
    arxiv="2308.07661",
    year=2023,
    aliases=("extractor-he", "extractor-we"),
    modalities=("text",),
    notes=("Built from the abstract: three of the four Extractors, with a bounded reach.",),
)


def block(inner: Part[Recurrent]) -> Part[PreNorm]:
    return part(PreNorm, parts=(part(Adjusted, inner=inner), part(SwiGLU)))


RECIPE = language_model(dim=96, depth=4, blocks=(block(part(MatrixLags, taps=12)),))
VARIANTS = {
    "extractor-he": RECIPE.but(dim=128, model__backbone__blocks=(block(part(ShortConv, taps=64)),)),
    "extractor-we": RECIPE.but(dim=128, model__backbone__blocks=(block(part(NumberLags, taps=64)),)),
}
CLAIM = Claim(
    "a matrix for each lag, times what the token asks for, says a text in fewer bits than attention of as many parameters",
    experiment="twin_text",
    against="gpt",
    metric="bits",
    margin=0.005,
    settings={
        "context": 128,
        "judged": 50_000,
        "apart": 0.04,
        "seeds": 3,
        "train": {"stages__0__train__steps": 500, "stages__0__train__batch": 8},
        "grid": {"stages__0__train__lr": (1e-3, 3e-3)},
        "live": {
            "judged": 2_000,
            "train": {"stages__0__train__steps": 40, "stages__0__train__batch": 8},
            "grid": {"stages__0__train__lr": (3e-3,)},
        },
    },
)
