"""Aaren: attention whose query is a parameter, so that the softmax over the past is a recurrence of constant size.

o_t = Σ_{s<=t} exp(q_h·k_s / √K) v_s / Σ_{s<=t} exp(q_h·k_s / √K). What the future needs of the past is z = log Σ exp and o: one token more,
with logit z and value o. Training runs all prefixes at once, streaming carries (z, o). Here both run on the scan of linear attention,
with rates exp(m_{t−1} − m_t), m_t the greatest logit so far. The recipe forecasts; the host is ours, a pre-norm stack over time steps.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.builders import forecaster
from sequary.core.card import Card, Claim
from sequary.core.contracts import Mixer
from sequary.core.part import FromData, Part, part
from sequary.core.recipe import Train
from sequary.heads.steps import StepsHorizon
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.attention.prefix import PrefixAttention
from sequary.mixers.mlp.dense import MLP
from sequary.tokens.series import InstanceNorm
from sequary.tokens.steps import TimeSteps

CARD = Card(
    id="aaren",
    title="Attention as an RNN",
    kind="mixer",
    arxiv="2405.13956",
    year=2024,
    aliases=("aaren-transformer",),
    modalities=("any", "timeseries", "rl"),
    notes=(
        "No code of the authors is public; the golden is a transcription by another hand, which averages heads and does not scale scores.",
        "The learnt query is one for each head and layer.",
        "Declined: an activation that torch.nn.functional has not.",
    ),
)


def block(mixer: Part[Mixer]) -> Part[PreNorm]:
    return part(PreNorm, parts=(mixer, part(MLP, ratio=2.0, dropout=0.1)), norm=part(LayerNorm))


RECIPE = forecaster(
    dim=64,
    scale=part(InstanceNorm),
    tokens=part(TimeSteps, context=FromData("context"), channels=FromData("channels")),
    backbone=part(Stack, depth=2, blocks=(block(part(PrefixAttention, heads=4)),), norm=part(LayerNorm)),
    head=part(StepsHorizon, context=FromData("context"), horizon=FromData("horizon"), channels=FromData("channels")),
    train=Train(lr=1e-3, batch=32, steps=2000, patience=5),
    tiny=(("dim", 16), ("model__backbone__depth", 1)),
)
VARIANTS = {
    "aaren-transformer": RECIPE.but(model__backbone__blocks=(block(part(CausalAttention, heads=4, base=None)),))
}
CLAIM = Claim(
    "with a state of constant size it forecasts no worse than causal attention, whose cache grows",
    experiment="forecast_gain",
    against="aaren-transformer",
    metric="mse",
    margin=-0.02,
    settings={
        "data": "ETTh1",
        "context": 96,
        "horizon": 96,
        "train": {
            "stages__0__train__steps": 400,
            "stages__0__train__evaluate_every": 100,
            "stages__0__train__batch": 16,
        },
        "grid": {"stages__0__train__lr": (1e-3, 3e-4)},
        "seeds": 3,
        "live": {
            "context": 48,
            "horizon": 24,
            "train": {"dim": 32, "stages__0__train__steps": 40, "stages__0__train__batch": 16},
            "grid": {},
        },
    },
)
