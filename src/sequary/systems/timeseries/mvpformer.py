"""MVPFormer: attention over channels and time at once, whose scores say content, lag and distance of channels apart.

Tokens are segments of each channel on a grid (steps, channels). Cell (i, c) reads (j, d), all channels of steps j <= i, with the score a
= ([i − j <= 10] (q_ic + z)·k_jd + (q_ic + u)·(W_R r_{i−j}) + (q_ic + w)·(W_C s_{|c−d|})) / √K. Nothing depends on how many channels
there are, so that recordings of other layouts are read by the same weights. Attention and feed-forward stand side by side behind one
norm.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.norms import RMSNorm
from sequary.blocks.parallel import Parallel
from sequary.blocks.prenorm import PreNorm
from sequary.builders import forecaster
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.heads.last_segment import LastSegment
from sequary.mixers.attention.variates import VariateAttention
from sequary.mixers.mlp.swiglu import SwiGLU
from sequary.tokens.segments import Segments

CARD = Card(
    id="mvpformer",
    title="A foundation model with multi-variate parallel attention to generate neuronal activity",
    kind="mixer",
    arxiv="2506.20354",
    year=2025,
    aliases=("mvpa",),
    modalities=("timeseries",),
    notes=(
        "In the authors' code content scores within 10 steps, but for the queries of the last step, which score the content of all "
        "steps before them, so that outputs depend on the length. Here the window holds for every step; the converter does as the "
        "source does. Beyond the window keys are read by lag and distance, not masked, in both.",
        "Vectors of lags and distances belong to the attention and start at lag 0; the source hands in tables of positions, counted "
        "from the far end, which all layers share.",
        "Embedding by wavelets, the contrastive objective over segments and the classifier of seizures are left out: segments are "
        "embedded by a linear map, and the horizon is forecast from the last one.",
        "Declined: scale_attn_by_inverse_layer_idx without a layer_idx, with which the source fails.",
    ),
)
block = part(PreNorm, parts=(part(Parallel, parts=(part(VariateAttention, heads=4), part(SwiGLU))),))
RECIPE = forecaster(
    dim=128,
    tokens=part(Segments, patch=16),
    backbone=part(Stack, depth=4, blocks=(block,), norm=part(RMSNorm)),
    head=part(LastSegment, horizon=FromData("horizon")),
    tiny=(("dim", 32), ("model__backbone__depth", 1), ("model__tokens__patch", 8)),
)
CLAIM = Claim(
    "learnt on waves along 4 to 8 sensors, it forecasts those of 12 and 16 better than full attention with codes of channels and steps, "
    "and than attention inside each channel",
    experiment="unseen_layouts",
    against="full attention with learned codes; attention inside channels",
    metric="nmse",
    margin=0.02,
    settings={
        "learnt": (4, 5, 6, 7, 8), "tested": (12, 16), "segments": 8, "patch": 4, "noise": 0.1, "dim": 32, "depth": 2,
        "heads": 4, "steps": 1200, "batch": 16, "grid": (1e-3, 3e-3), "seeds": 3,
        "live": {"steps": 250, "grid": (3e-3,)},
    },
)  # fmt: skip
