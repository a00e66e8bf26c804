"""Learnt delays: a feed-forward spiking net whose synapses have, beside a weight, a delay of their own.

u_t = (1 − 1/τ) v_{t−1} + norm(Σ_i w_i x_{t − d_i, i}), a spike where u reaches 1, and then v starts again from 0. A neuron answers where
spikes coincide, and delays make those coincide that belong together. In training a synapse is a Gaussian bump over the lags, centred
at d, whose width shrinks to one step; afterwards d is rounded. The readout never fires: the mean of its potentials is told apart.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.norms import NoNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.heads.mean_pooled import MeanPooled
from sequary.mixers.conv.delays import DelayedConv
from sequary.mixers.ssm.spiking import NeuronLayer, Potentials, SpikingNeurons
from sequary.models.series import SeriesEncoder
from sequary.objectives.narrowing import Narrowing
from sequary.tokens.conv_steps import ConvSteps

CARD = Card(
    id="snn-dcls-delays",
    title="Learning Delays in Spiking Neural Networks using Dilated Convolutions with Learnable Spacings",
    kind="mixer",
    arxiv="2306.17670",
    modalities=("audio", "timeseries"),
    notes=(
        "The readout's potentials are averaged and mapped to classes; the authors have a neuron a class and add up the softmax of "
        "its potential over time, which the converter leaves to its user.",
        "The authors' delays learn at 0.1, 100 times the rate of their weights; here at 30 times, 0.1 to 0.3 at the claim's rates.",
        "Rows keep their length; the authors fill up both ends, so that each layer lengthens them.",
        "In eval the spikes of the authors' 'lif' neurons have no derivative, and the converter's have none.",
        "Declined: surrogate_function other than ATan, Sigmoid, SoftSign, Erf and PiecewiseExp, or not spiking, where it is read; "
        "version and spiking_neuron_type that the source does not have.",
    ),
)
delayed = part(DelayedConv, longest=24, pace=30.0)
hidden = part(NeuronLayer, conv=delayed, neurons=part(SpikingNeurons, tau=2.0))
readout = part(NeuronLayer, conv=delayed, norm=part(NoNorm), neurons=part(Potentials, tau=2.0))
RECIPE = Recipe(
    dim=64,
    model=part(
        SeriesEncoder,
        tokens=part(ConvSteps, channels=FromData("channels"), embedding=hidden),
        backbone=part(Stack, depth=1, blocks=(readout,)),
        head=part(MeanPooled, head=part(Categorical, vocab=FromData("classes"), bias=True)),
    ),
    stages=(Stage(objective=Narrowing(), train=Train(lr=3e-3, batch=64, steps=600, patience=5)),),
    tiny=(
        ("dim", 16),
        ("model__tokens__embedding__conv__longest", 6),
        ("model__backbone__blocks__0__conv__longest", 6),
    ),
)
CLAIM = Claim(
    "of spiking nets with as many weights, the one that learns its delays tells planted spike times best",
    experiment="planted_delays",
    against="the same with random fixed delays, or none",
    metric="accuracy",
    better="higher",
    margin=0.02,
    settings={
        "channels": 8, "classes": 6, "longest": 24, "steps": 48, "jitter": 1.0, "noise": 0.01, "rows": 20_000, "test": 2000, "lost": 0.01,
        "train": {"dim": 16, "stages__0__train__batch": 64, "stages__0__train__steps": 400},
        "grid": (1e-2, 3e-3), "seeds": 3,
        "live": {
            "rows": 4000, "test": 500, "grid": (1e-2,),
            "train": {"dim": 16, "stages__0__train__batch": 64, "stages__0__train__steps": 60},
        },
    },
)  # fmt: skip
