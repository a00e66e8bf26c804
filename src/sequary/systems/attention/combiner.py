"""Combiner: full attention at a sparse pattern's cost; what a query does not read token by token it reads through a region's summary.

p(j | t) = p(r | t) p(j | r). Here the fixed pattern: o_t = Σ over the tokens of its own block up to t, and over every earlier block r,
of one softmax of q_t·k_s and q_t·max_j k_j, with values v_s and Σ_j softmax_j(max_i q_i·k_j) v_j; n·(block + n / block) pairs.
`LogCombiner` has a binary tree instead of blocks, `AxialCombiner` rows and columns. All causal.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.attention.combiner import FixedCombiner
from sequary.mixers.mlp.dense import MLP

CARD = Card(
    id="combiner",
    title="Combiner: Full Attention Transformer with Sparse Computation Cost",
    kind="mixer",
    arxiv="2107.05768",
    year=2021,
    modalities=("text", "image"),
    notes=(
        "The recipe is small and has the fixed pattern. Bidirectional forms and the axial mixture are left out.",
        "The authors' logarithmic pattern has one level too few where the length less one is a power of two: its last token then reads "
        "itself alone. The converter does so too, the part does not.",
        "Decoding keeps every token and makes the summaries anew at each step.",
    ),
)
block = part(PreNorm, parts=(part(FixedCombiner, heads=4, block=16), part(MLP)))
RECIPE = language_model(dim=128, depth=4, blocks=(block,)).but(model__tokens__positions=2048)
CLAIM = Claim(
    "with summaries of regions every earlier token has a weight above zero; without them only those of the own block have one",
    experiment="full_support",
    against="FixedCombiner without summaries",
    metric="share",
    better="higher",
    margin=0.1,
    settings={"length": 256, "dim": 32, "heads": 4, "block": 16, "seeds": 5},
)
