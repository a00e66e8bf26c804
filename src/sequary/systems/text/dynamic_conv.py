"""Dynamic convolutions: each token predicts, from itself alone, the weights of a mean over the last few tokens.

y_t = W₂ Σ_{j<K} softmax_j(W_h u_t) u_{t−j}, u = a ⊙ σ(b), (a, b) = W₁ x: one kernel for each of H heads, shared by its D / H channels.
Time is linear in the length, and the state is the last K − 1 tokens. LightConv is the same with kernels that no token sets
(`dynamic-conv-light`). Kernels grow with depth as in the paper, 3, 7, 15, 31; the host is ours, a pre-norm decoder.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import Part, part
from sequary.mixers.conv.gated import GatedConv
from sequary.mixers.conv.light import DynamicConv, LightConv
from sequary.mixers.mlp.dense import MLP

CARD = Card(
    id="dynamic-conv",
    title="Pay Less Attention with Lightweight and Dynamic Convolutions",
    kind="mixer",
    aliases=("dynamic-conv-light",),
    arxiv="1901.10430",
    year=2019,
    modalities=("text", "any"),
    notes=(
        "Beyond the start of a sequence stand zeros, as in fairseq: the weights inside it sum to less than 1 there; `renormalise` "
        "mends that, as fairseq's renorm_padding does.",
        "fairseq's two paths disagree where a kernel is longer than the sequence; ours is that of its default up to 512 tokens.",
        "Declined: even kernels in encoder layers and padding_l None, with which the source cannot compute.",
        "Declined: padding_l of None, with which the source computes; an even kernel_size in an encoder, which its own layer refuses; a "
        "conv_type other than lightweight and dynamic.",
    ),
)


def block(taps: int, kind: type[DynamicConv] | type[LightConv] = DynamicConv) -> Part[PreNorm]:
    return part(PreNorm, parts=(part(GatedConv, conv=part(kind, heads=8, taps=taps)), part(MLP, activation="relu")))


RECIPE = language_model(dim=128, depth=4, blocks=tuple(block(taps) for taps in (3, 7, 15, 31)))
VARIANTS = {
    "dynamic-conv-light": RECIPE.but(model__backbone__blocks=tuple(block(taps, LightConv) for taps in (3, 7, 15, 31)))
}
CLAIM = Claim(
    "kernels that the token sets tell more than as long kernels that are the same for all tokens",
    experiment="twin_text",
    against="dynamic-conv-light",
    metric="bits",
    margin=0.005,
    settings={
        "context": 128,
        "judged": 50_000,
        "baseline": {f"model__backbone__blocks__{i}__parts__1__ratio": 4.43 for i in range(4)},
        "seeds": 3,
        "train": {"stages__0__train__steps": 500, "stages__0__train__batch": 8},
        "grid": {"stages__0__train__lr": (3e-3,)},
        "live": {"judged": 2_000, "train": {"stages__0__train__steps": 40, "stages__0__train__batch": 8}},
    },
)
