"""PartialFormer: many small feed-forwards inside attention, one on each head, in place of one wide one behind it.

y = W_o (join_h(a_h + F2 relu(F1 a_h)) ⊙ relu(W_u x)), a_h the output of head h: attention and feed-forward in one sublayer, scaled by its
number of heads and not by its width. Scores are added to those of the layer below, so that deeper stacks keep them apart.
`MixedScores` makes many heads' scores from few. The recipe is a causal language model where the paper translates.
"""

from sequary.backbones.partial_stack import PartialStack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.attention.partial import PartialAttention
from sequary.mixers.mlp.dense import MLP

CARD = Card(
    id="partialformer",
    title="PartialFormer: Modeling Part Instead of Whole",
    kind="block",
    arxiv="2310.14921",
    year=2023,
    aliases=("partialformer-standard", "partialformer-apart"),
    modalities=("text",),
    notes=(
        "As in the authors' decoder, one small feed-forward is shared by all heads of a layer. Their encoder's class is not published.",
        "Scores add up over all layers below, as RealFormer's do: the code leaves what is passed on to its caller.",
        "Declined: an activation_fn other than relu, gelu, swish, tanh and linear.",
    ),
)
layer, norm = part(PartialAttention, heads=10, width=16, ratio=2.0), part(LayerNorm)
standard = part(PreNorm, parts=(part(CausalAttention, heads=4), part(MLP, activation="relu", ratio=4.4)), norm=norm)
BASE = language_model(dim=64, depth=4, blocks=(standard,), norm=norm)
RECIPE = BASE.but(model__backbone=part(PartialStack, depth=4, layer=layer, norm=norm))
VARIANTS = {
    "partialformer-standard": BASE,
    "partialformer-apart": BASE.but(model__backbone__blocks=(part(PreNorm, parts=(layer,), norm=norm),)),
}
TRAIN = {"model__backbone__depth": 3, "stages__0__train__batch": 8}
CLAIM = Claim(
    "at equal parameters small feed-forwards inside attention save bits over a wide one behind it; without the added scores beside",
    experiment="twin_text",
    against="partialformer-standard",
    metric="bits",
    margin=0.01,
    settings={
        "context": 128,
        "judged": 50_000,
        "seeds": 3,
        "beside": ("partialformer-apart",),
        "train": {**TRAIN, "stages__0__train__steps": 500},
        "grid": {"stages__0__train__lr": (1e-3, 3e-3)},
        "live": {
            "judged": 10_000,
            "beside": (),
            "train": {**TRAIN, "stages__0__train__steps": 60},
            "grid": {"stages__0__train__lr": (3e-3,)},
        },
    },
)
