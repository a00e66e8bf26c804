"""Linear transformer: attention whose weights are products of positive features, and so a recurrent network with a matrix state.

S_t = S_{t-1} + φ(k_t) v_tᵀ, z_t = z_{t-1} + φ(k_t), o_t = S_tᵀ φ(q_t) / (z_t·φ(q_t)), φ(x) = elu(x) + 1. Training costs time linear
in the length; a generated token costs the same after any context, where a cache's cost grows. Without the order of time the two sums
are taken once over all tokens (`KernelAttention`).
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.linear.kernel import CausalKernelAttention
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="linear-transformer",
    title="Transformers are RNNs: Fast Autoregressive Transformers with Linear Attention",
    kind="mixer",
    arxiv="2006.16236",
    year=2020,
    modalities=("text", "any"),
    notes=(
        "The recipe has no positions: order enters through causality alone. The paper adds them to its tokens.",
        "Blocks are pre-norm with SwiGLU, as those of the other language models here; the paper's are post-norm, and so are "
        "the converter's.",
        "Declined: attention_type other than linear and causal-linear, which are other papers' attentions.",
    ),
)
block = part(PreNorm, parts=(part(CausalKernelAttention, heads=4), part(SwiGLU)))
RECIPE = language_model(dim=128, depth=4, blocks=(block,))
CLAIM = Claim(
    "a generated token takes as long after 8192 symbols as after 256, by a state that does not grow; with a cache it takes longer",
    experiment="decoding_growth",
    against="gpt",
    metric="growth",
    margin=0.1,
    settings={
        "contexts": (256, 8192),
        "tokens": 32,
        "repeats": 15,
        "vocab": 64,
        "model": {"dim": 64, "model__backbone__depth": 2},
        "seeds": 5,
        "live": {"repeats": 5},
    },
)
