"""An attention-free transformer: keys and learnt biases of position weigh values channel by channel, and queries only gate.

y_t = W_o (σ(q_t) ⊙ Σ_{s<=t} exp(k_s + w_{t,s}) v_s / Σ_{s<=t} exp(k_s + w_{t,s})), no product of queries and keys anywhere. The recipe is
causal, with w a kernel of lags a head (AFT-conv along a line): the past beyond the window is one mean, so time is linear and the state
does not grow. `FreeAttention` is the form over all tokens with a bias for each pair (AFT-full, AFT-local).
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.attention.free import CausalFreeAttention
from sequary.mixers.mlp.dense import MLP

CARD = Card(
    id="aft",
    title="An Attention Free Transformer",
    kind="mixer",
    arxiv="2105.14103",
    year=2021,
    aliases=("aft-simple",),
    modalities=("image", "text", "any"),
    notes=(
        "Goldens are of two third-party packages; AFTLocal of aft-pytorch replaces its biases at every call, so that they never learn; "
        "its values are right, and replayed.",
        "Declined: AFTFullAttention of fast-transformers, which multiplies keys by the bias.",
        "Sums are taken relative to the greatest logit, in the causal form to the greatest so far: large keys overflow nothing.",
        "Keys are one a channel in all forms, and the kernels of the causal form are plain, without the paper's reparameterisation.",
    ),
)
block = part(PreNorm, parts=(part(CausalFreeAttention, heads=8, window=16), part(MLP)))
RECIPE = language_model(dim=128, depth=4, blocks=(block,))
VARIANTS = {"aft-simple": RECIPE.but(model__backbone__blocks__0__parts__0__window=0)}
CLAIM = Claim(
    "where positions decide, biases of position recall what stood a fixed number of places ago, and without them nothing can",
    experiment="offset_copy",
    against="aft-simple",
    metric="accuracy",
    better="higher",
    margin=0.1,
    settings={
        "offset": 5,
        "length": 32,
        "symbols": 8,
        "seeds": 5,
        "train": {
            "dim": 32,
            "model__backbone__depth": 1,
            "stages__0__train__steps": 800,
            "stages__0__train__batch": 32,
        },
        "grid": {"stages__0__train__lr": (3e-3, 1e-2)},
        "live": {
            "train": {
                "dim": 32,
                "model__backbone__depth": 1,
                "stages__0__train__steps": 150,
                "stages__0__train__batch": 32,
            },
            "grid": {"stages__0__train__lr": (1e-2,)},
        },
    },
)
