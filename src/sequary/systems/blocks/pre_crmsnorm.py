"""Pre-RMSNorm and Pre-CRMSNorm transformers: a pre-LN transformer whose useless mean is removed once, at no change of its function.

Each branch reads layer_norm(x), which does not see the mean of x. So whatever writes to the stream is centred, W ← (I − 11ᵀ/D) W, and
layer norm is RMS norm; features that add up to 0 are stored in D − 1 numbers, x / √((Σ x² + (Σ x)²) / D + eps).
The recipe is the pre-LN model, and the edits of edit/centre.py rewrite it, trained or not.
"""

from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.edit.centre import PreCRMSNorm
from sequary.mixers.attention.sized import SizedAttention
from sequary.mixers.mlp.dense import MLP

CARD = Card(
    id="pre-crmsnorm",
    title="Pre-RMSNorm and Pre-CRMSNorm Transformers: Equivalent and Efficient Pre-LN Transformers",
    kind="block",
    arxiv="2305.14858",
    year=2023,
    modalities=("any", "text"),
    notes=(
        "Norms have no weights, as in the authors' code: those of a trained model fold into the linear maps that follow.",
        "Heads have a width of their own, since the stream of the compressed form is one feature narrower than they add up to.",
        "The saving of time that the paper measures on accelerators is not claimed here, only the equality.",
        "Declined: a method of norms that the source does not know.",
    ),
)
norm = part(LayerNorm, affine=False)
block = part(PreNorm, parts=(part(SizedAttention, heads=4, width=32), part(MLP, hidden=512)), norm=norm)
RECIPE = language_model(dim=128, depth=4, blocks=(block,), norm=norm).but(edits=(PreCRMSNorm(),))
CLAIM = Claim(
    "rewritten with RMS norms or compressed RMS norms, a pre-LN transformer keeps its logits and its course of training; exchanging "
    "the norms alone changes them",
    experiment="equal_norms",
    against="layer norms exchanged for RMS norms as they stand",
    metric="logit_error",
    settings={
        "dim": 32,
        "depth": 4,
        "heads": 4,
        "vocab": 32,
        "rows": 4,
        "tokens": 24,
        "steps": 50,
        "tolerance": 1e-10,
        "seeds": 5,
        "live": {"steps": 10},
    },
)
