"""Linear log-normal attention: exponential features, as sharp as softmax attention would be, beside attention inside blocks.

o_t = Σ_{s<=t} (e^{αq_t}·e^{βk_s}) v_s / Σ_{s<=t} e^{αq_t}·e^{βk_s}: for normal q and k the weights are nearly log-normal, as softmax's
are, and α, β follow the measured variances so that both are spread alike. Linear in the length, with a state that does not grow.
"""

from sequary.blocks.parallel import Parallel
from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.attention.block_diagonal import CausalBlockAttention
from sequary.mixers.linear.kernel import CausalKernelAttention
from sequary.mixers.linear.log_normal import LogNormal
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="lln-attention",
    title="Linear Log-Normal Attention with Unbiased Concentration",
    kind="mixer",
    arxiv="2311.13541",
    year=2023,
    modalities=("text", "image"),
    notes=(
        "α and β come from running variances over real tokens, measured while training; the released code takes those of the batch "
        "at hand, also when it predicts, so that its rows see each other and the future.",
        "The line that links variance and sharpness has the released code's numbers, whatever the width of a head.",
        "Blocks of the paper's second part are of its own projections here; the released code halves the sum of both on shared ones.",
    ),
)
attention = part(CausalKernelAttention, heads=2, feature=part(LogNormal))
both = part(Parallel, parts=(attention, part(CausalBlockAttention, heads=2, block=64)))
RECIPE = language_model(dim=128, depth=4, blocks=(part(PreNorm, parts=(both, part(SwiGLU))),))
CLAIM = Claim(
    "for normal queries and keys of several variances the log weights are spread as softmax's are, which those of elu + 1 are not",
    experiment="attention_spread",
    against="linear-transformer",
    metric="gap",
    margin=0.1,
    settings={"spreads": (0.75, 1.0, 1.25, 1.5), "width": 64, "tokens": 512, "seeds": 5, "live": {"tokens": 128}},
)
