"""Gated DeltaNet-2: a delta rule whose erasing and writing have gates of their own.

S_t = (I − k_t (b_t ⊙ k_t)ᵀ) diag(α_t) S_{t-1} + k_t (w_t ⊙ v_t)ᵀ, o_t = S_tᵀ q_t / √K: before a token writes under its key it takes back
what lies there, in each key entry as far as b says; w says how much of each value is written, α what each key entry keeps. b = w = a
scalar is Kimi delta attention (`kda`), a scalar α too Gated DeltaNet (`gated-deltanet`). One op serves all (ops/delta_rule.py).
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.linear.delta import DeltaNet, LowRankGate
from sequary.mixers.linear.delta_gates import EraseWrite
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="gated-deltanet-2",
    title="Gated DeltaNet-2: Decoupling Erase and Write in Linear Attention",
    kind="mixer",
    modalities=("text", "any"),
    notes=(
        "The recipe is small. Parity is with flash-linear-attention's port of the layer and its naive function; the authors' code was "
        "not at hand.",
    ),
)
mixer = part(DeltaNet, heads=4, key=32, value=32, gates=part(EraseWrite), gate=part(LowRankGate, rank=32))
block = part(PreNorm, parts=(mixer, part(SwiGLU)))
RECIPE = language_model(dim=128, depth=4, blocks=(block,))
small = {
    "dim": 32,
    "model__backbone__depth": 2,
    **{f"model__backbone__blocks__0__parts__0__{n}": v for n, v in (("heads", 1), ("key", 16), ("value", 32))},
    "model__backbone__blocks__0__parts__0__gate__rank": 32,
    "stages__0__train__batch": 64,
}
CLAIM = Claim(
    "gates of their own on what is erased and what is written recall keys told anew better than one strength for both, at equal state",
    experiment="overwritten",
    against="kda",
    metric="accuracy",
    better="higher",
    margin=0.02,
    settings={
        "pairs": 8,
        "length": 48,
        "keys": 32,
        "values": 16,
        "seeds": 5,
        "train": small | {"stages__0__train__steps": 1500},
        "baseline": {"model__backbone__blocks__0__parts__1__hidden": 96},
        "grid": {"stages__0__train__lr": (2.5e-3, 5e-3, 1e-2)},
        "live": {"train": small | {"stages__0__train__steps": 300}, "grid": {"stages__0__train__lr": (1e-2,)}},
    },
)
