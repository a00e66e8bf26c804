"""WavSpA: attention among wavelet coefficients instead of tokens, and back.

z_J, …, z_1 = W x, a wavelet transform along the sequence, each channel with filters of its own; y = W⁻¹(f_J(z_J), …, f_1(z_1)), any
attention f_j on each band. A coefficient says what happens at some place and scale, where one of Fourier's speaks of the whole row;
the transform is linear in the length, and bands are short. Filters are free, here, or fixed, orthogonal by angles, or lifting steps.
Bidirectional. Beyond the ends we take zeros, so that padding changes nothing; the authors' code reflects there.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, Part, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.heads.mean_pooled import MeanPooled
from sequary.mixers.mlp.dense import MLP
from sequary.mixers.spectral.transformed import TransformedMixer
from sequary.mixers.spectral.transforms import Fourier, FreeFilters, Transform
from sequary.models.series import SeriesEncoder
from sequary.objectives.classify import Classify
from sequary.tokens.joint_patches import JointPatches
from sequary.tokens.positions import SinePositions

CARD = Card(
    id="wavspa",
    title="WavSpA: Wavelet Space Attention for Boosting Transformers' Long Sequence Learning Ability",
    kind="mixer",
    arxiv="2210.01989",
    aliases=("wavspa-fourier",),
    modalities=("any", "text"),
    notes=(
        "Attention is on each band apart, with weights of its own, as in the authors' code; not on all bands in one row.",
        "The authors' code takes the low pass of a channel from its mirror channel, so that free filters are no pair; leaves lifted "
        "rows of odd length changed; and has no norm before the feed-forward. The converter does as it does, the parts do not.",
        "Declined: wlen above 40 with fixed filters, which the source finds inexactly; model_type that it does not have.",
    ),
)


def _model(transform: Part[Transform], ratio: float) -> Recipe:
    mixing = part(TransformedMixer, transform=transform)
    block = part(PreNorm, parts=(mixing, part(MLP, ratio=ratio)), norm=part(LayerNorm))
    return Recipe(
        dim=64,
        model=part(
            SeriesEncoder,
            tokens=part(JointPatches, channels=FromData("channels"), patch=1),
            positions=part(SinePositions),
            backbone=part(Stack, depth=1, blocks=(block,)),
            head=part(MeanPooled, head=part(Categorical, vocab=FromData("classes"), bias=True)),
        ),
        stages=(Stage(objective=Classify(), train=Train(lr=3e-3, batch=64, steps=600, patience=5)),),
        tiny=(("dim", 16),),
    )


RECIPE = _model(part(FreeFilters, levels=2, taps=4), 2)
VARIANTS = {"wavspa-fourier": _model(part(Fourier), 6)}
CLAIM = Claim(
    "attention among wavelet coefficients tells spoken digits better than among Fourier coefficients, at equal parameters",
    experiment="twin_classes",
    against="wavspa-fourier",
    metric="accuracy",
    better="higher",
    margin=0.01,
    settings={
        "labels": 1000,
        "validation": 300,
        "test": 1000,
        "context": 24,
        "steps": 600,
        "grid": (1e-2, 3e-3, 1e-3),
        "seeds": 6,
        "live": {"labels": 300, "test": 500, "grid": (3e-3,), "steps": 100},
    },
)
