"""FNetAR: every second attention layer becomes a causal Fourier transform of the last W tokens, without parameters.

y_t = W^{-1/2} Σ_{j<W} cos(2π (j+1) / W) x_{t-j}: the real part of the transform of the window that ends at t, at t's own place.
Built from the abstract (the text was not at hand): the window's length and place of reading are ours, and so is the rest of the
network, a rotary transformer where the paper has Transformer-XL with its memory.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.dense import MLP
from sequary.mixers.spectral.causal_fourier import CausalFourier

CARD = Card(
    id="fnetar",
    title="FNetAR: Mixing Tokens with Autoregressive Fourier Transforms",
    kind="mixer",
    arxiv="2107.10932",
    year=2021,
    modalities=("text", "timeseries"),
    notes=("Built from the abstract: window, scale and host network are ours.",),
)
attention = part(PreNorm, parts=(part(CausalAttention, heads=4), part(MLP)))
fourier = part(PreNorm, parts=(part(CausalFourier, window=64), part(MLP)))
RECIPE = language_model(dim=128, depth=4, blocks=(attention, fourier))
CLAIM = Claim(
    "mixing half of the layers by a fixed causal Fourier transform is better than not mixing them at all",
    experiment="language",
    against="Identity for CausalFourier",
    metric="bits",
    margin=0.005,
    settings={
        "context": 128,
        "judged": 50_000,
        "seeds": 3,
        "train": {
            "dim": 128,
            "model__backbone__depth": 4,
            "stages__0__train__steps": 800,
            "stages__0__train__batch": 8,
        },
        "grid": {"stages__0__train__lr": (1e-3, 3e-3)},
        "live": {
            "judged": 10_000,
            "train": {
                "dim": 128,
                "model__backbone__depth": 4,
                "stages__0__train__steps": 150,
                "stages__0__train__batch": 8,
            },
            "grid": {"stages__0__train__lr": (3e-3,)},
        },
    },
)
