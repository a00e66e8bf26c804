"""The shaped transformer: attention near the identity and an activation near a straight line, so that depth makes tokens no more alike.

A = I + softmax(q kᵀ / τ) − C with τ = τ0 √(dim K) and C the mean over what a query sees; x ← λ x + γ part(x), λ² + γ² = 1, no norms;
slopes 1 + c± / √width. Each layer then moves the covariance V of tokens by 1 / width: for depth and width of one order V follows a
stochastic differential equation, dV = b(V) dt + Σ(V)^½ dB (ops/covariance_sde.py). The recipe is a causal language model.
"""

from sequary.blocks.normalised import Normalised
from sequary.blocks.norms import LayerNorm, NoNorm
from sequary.blocks.postnorm import PostNorm
from sequary.blocks.prenorm import PreNorm
from sequary.blocks.unit_residual import UnitResidual
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.attention.shaped import CausalShapedAttention
from sequary.mixers.mlp.dense import MLP
from sequary.mixers.mlp.shaped import ShapedMLP
from sequary.probe.token_cosines import TokenCosines

CARD = Card(
    id="shaped-transformer",
    title="The Shaped Transformer: Attention Models in the Infinite Depth-and-Width Limit",
    kind="block",
    arxiv="2306.17759",
    year=2023,
    aliases=("shaped-transformer-preln", "shaped-transformer-postln", "shaped-transformer-plain"),
    modalities=("any", "text"),
    notes=(
        "Parity is with simplified_transformers, by another group: causal, logits over the root of a head's width, gains learnt for each "
        "head, 1 / (t + 1) rounded to float32, an RMS norm with its eps outside the root. The gains are kept; they start at the paper's 1.",
        "The paper's theorem is of full attention with one head and no output projection (`ShapedAttention` is the full form); the "
        "equation here is derived anew for the causal mean, several heads and two projections, and reduces to it.",
        "Without norms embeddings are brought to unit size once, before the first block.",
        "Declined: an activation_function that is not in the converter's list; val_init_type and proj_init_type other than id where the "
        "map has a skip, since that is then a random matrix which the state does not hold.",
    ),
)
block = part(
    UnitResidual,
    parts=(part(CausalShapedAttention, heads=4, temperature=0.5), part(ShapedMLP, ratio=2.0)),
    gain=0.35,
)
norm = part(LayerNorm)
RECIPE = language_model(dim=128, depth=9, blocks=(part(Normalised), *(8 * (block,))), norm=norm)
RECIPE = RECIPE.but(model__tokens__positions=1024, probes=(TokenCosines(),))
plain = (part(CausalAttention, heads=4, base=None), part(MLP, ratio=2.0, activation="relu", bias=False))
VARIANTS = {
    "shaped-transformer-preln": RECIPE.but(model__backbone__blocks=(part(PreNorm, parts=plain, norm=norm),)),
    "shaped-transformer-postln": RECIPE.but(model__backbone__blocks=(part(PostNorm, parts=plain, norm=norm),)),
    "shaped-transformer-plain": RECIPE.but(model__backbone__blocks=(part(PreNorm, parts=plain, norm=part(NoNorm)),)),
}
CLAIM = Claim(
    "at initialisation 48 layers of 96 features leave tokens as far apart as an equation says, where a pre-norm transformer, and one with "
    "post-norm or without norms beside, makes them alike",
    experiment="token_cosines",
    against="shaped-transformer-preln",
    metric="cosine",
    margin=0.1,
    settings={
        "width": 96,
        "depth": 48,
        "tokens": 6,
        "cosine": 0.2,
        "nets": 60,
        "paths": 500,
        "distance": 0.25,
        "seeds": 3,
        "beside": ("shaped-transformer-postln", "shaped-transformer-plain"),
        "live": {"width": 48, "depth": 24, "nets": 40, "beside": ()},
    },
)
