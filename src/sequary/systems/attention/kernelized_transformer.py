"""Kernelized transformer: linear attention whose kernel is learnt, by learning the distribution of its frequencies.

a_ts = φ(q_t)·φ(k_s) with φ(x) = exp(ωᵀx − |x|²) / √M over M frequencies ω = exp(s/2) ε + μ: noise ε drawn once, mean μ and log variance s
learnt, one Gaussian a head (`DiagonalGaussians`). Cosines and sines (`Fourier`), full covariances, a network that makes frequencies and
Fastfood's structured product stand beside it. Bidirectional; trained by predicting hidden tokens.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.mixers.linear.kernel import KernelAttention
from sequary.mixers.linear.spectral_maps import Positive
from sequary.mixers.mlp.dense import MLP
from sequary.models.encoder import TokenEncoder
from sequary.objectives.masked_tokens import MaskedTokens
from sequary.tokens.symbols import Embedding

CARD = Card(
    id="kernelized-transformer",
    title="On Learning the Transformer Kernel",
    kind="mixer",
    arxiv="2110.08323",
    year=2021,
    modalities=("text", "any"),
    notes=(
        "Noise is drawn once, with the weights; the released code draws it anew at each call unless told otherwise.",
        "What that code calls a mixture is a Gaussian for each head.",
        "Fastfood's factors are written out as one matrix of a head's width: the same features, without its saving at large widths.",
        "Declined: GaussianMixtureAlaCarte, whose features its linear attention cannot read; FastFoodPositiveFeatures, which cannot be "
        "built; GeneralizedRandomFeatures, which has no spectrum.",
    ),
)
block = part(
    PreNorm,
    parts=(part(KernelAttention, heads=4, feature=part(Positive, samples=32)), part(MLP)),
    norm=part(LayerNorm),
)
RECIPE = Recipe(
    dim=128,
    model=part(
        TokenEncoder,
        tokens=part(Embedding, vocab=FromData("vocab"), positions=512),
        backbone=part(Stack, depth=4, blocks=(block,), norm=part(LayerNorm)),
        head=part(Categorical, vocab=FromData("vocab"), bias=True),
    ),
    stages=(Stage(objective=MaskedTokens(), train=Train(lr=1e-3, batch=32, steps=2000, warmup=0.1)),),
    tiny=(("dim", 32), ("model__tokens__positions", 32), ("model__backbone__depth", 1)),
)
CLAIM = Claim(
    "where similarity waves with the difference of query and key, a learnt spectrum finds it, which fixed random frequencies do not",
    experiment="learnt_kernel",
    against="fixed normal frequencies",
    metric="error",
    margin=0.05,
    settings={
        "wave": 3.0, "width": 4, "features": 256, "steps": 1500, "batch": 256, "grid": (3e-3, 1e-2, 3e-2), "seeds": 5,
        "live": {"steps": 500, "grid": (1e-2,)},
    },
)  # fmt: skip
