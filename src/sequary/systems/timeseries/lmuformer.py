"""LMUFormer: a classifier that streams: convolutions embed each step, a Legendre memory mixes them, and an answer stands at every step.

u_t = ReLU(w·x_t + c), m_t = A m_{t-1} + b u_t with fixed A and b, so that m holds the last θ values of u as Legendre coefficients;
h_t = ReLU(W [m_t; x_t] + d). Training is one FFT convolution with A^l b, inference a recurrence. Around it: x + norm(W h), x +
ReLU(norm(W₂ GELU(norm(W₁ x)))), batch norms; the mean of the tokens so far is told apart, so that one may stop early.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.norms import NoNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.heads.mean_pooled import MeanPooled
from sequary.mixers.conv.dense import ConvEmbedding
from sequary.mixers.mlp.normed import NormedMLP
from sequary.mixers.ssm.lmu import LMU
from sequary.models.series import SeriesEncoder
from sequary.objectives.classify import Classify
from sequary.tokens.conv_steps import ConvSteps

CARD = Card(
    id="lmuformer",
    title="LMUFormer: Low Complexity Yet Powerful Spiking Model With Legendre Memory Units",
    kind="mixer",
    arxiv="2402.04882",
    year=2024,
    modalities=("audio", "timeseries", "text"),
    notes=(
        "The convolutions that embed the steps look back only, as streaming needs; the authors' are centred and see five steps "
        "ahead, and the converter's are theirs.",
        "Of the spiking variants only the mixer SLMUMs is there, in the converter; it has no surrogate gradient and does not train.",
        "Declined: act_type other than 'relu' in ConvLMU.",
    ),
)
block = part(PreNorm, parts=(part(LMU, window=24), part(NormedMLP, ratio=2)), norm=part(NoNorm))
RECIPE = Recipe(
    dim=64,
    model=part(
        SeriesEncoder,
        tokens=part(ConvSteps, channels=FromData("channels"), embedding=part(ConvEmbedding, layers=4, taps=3)),
        backbone=part(Stack, depth=2, blocks=(block,)),
        head=part(MeanPooled, head=part(Categorical, vocab=FromData("classes"), bias=True)),
    ),
    stages=(Stage(objective=Classify(), train=Train(lr=3e-3, batch=64, steps=600, patience=5)),),
    tiny=(("dim", 16), ("model__backbone__depth", 1)),
)
TUNE = {"stages__0__train__lr": (3e-3, 1e-3)}
CLAIM = Claim(
    "after 70 % of a spoken digit it is as accurate as after all of it, to two points",
    experiment="early_answer",
    against="lmuformer after the whole recording",
    metric="accuracy",
    better="higher",
    margin=-0.02,
    settings={
        "labels": 1000,
        "validation": 300,
        "test": 1000,
        "context": 24,
        "share": 0.7,
        "steps": 400,
        "train": {},
        "grid": (3e-3, 1e-3),
        "seeds": 5,
        "live": {"labels": 300, "test": 500, "grid": (3e-3,), "steps": 60},
    },
)
