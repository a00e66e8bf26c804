"""LightNet: linear attention whose keys are a softmax over time, so that its memory is a mean that needs no direction.

z_t = log Σ_{s<=t} exp k_s, S_t = exp(z_{t-1} − z_t) S_{t-1} + exp(k_t − z_t) v_tᵀ, o_t = S_tᵀ q_t; then a norm and a SiLU gate. Old
tokens are forgotten only as new ones outweigh them, by addition; over all tokens at once (`LightNetAttention`) the same sum is one
pass, where memories that decay need one for each direction of each axis.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.linear.lightnet import CausalLightNet
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="lightnet",
    title="You Only Scan Once: Efficient Multi-dimension Sequential Modeling with LightNet",
    kind="mixer",
    arxiv="2405.21022",
    year=2024,
    modalities=("image", "text", "any"),
    notes=(
        "As in flash-linear-attention, with which parity is, without the paper's position encodings MD-TPE and MD-LRPE: what order the "
        "causal form knows comes from causality, and a convolution where one is given.",
        "That layer's norm_eps never reaches its norm, whose epsilon is 1e-6 here too.",
    ),
)
block = part(PreNorm, parts=(part(CausalLightNet, heads=4), part(SwiGLU)))
RECIPE = language_model(dim=128, depth=4, blocks=(block,))
CLAIM = Claim(
    "one pass reads every token from every other and does not know their order, where one pass of a memory that decays reads half",
    experiment="single_scan",
    against="gla",
    metric="tokens_read",
    better="higher",
    margin=0.1,
    settings={"tokens": 24, "dim": 16, "heads": 2, "seeds": 5},
)
