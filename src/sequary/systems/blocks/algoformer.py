"""AlgoFormer: a block prepares, a second one is iterated with shared weights as a solver would be, a third reads the answer out.

y_0 = 0, y_{r+1} = loop(y_r + pre(x)) for r < R, out = post(y_R); each of the three is a transformer block. The plain transformer of as
many parameters has three blocks and three layers of work; the vanilla looped one iterates all of its blocks, preparation and reading
included. Loops are a number, so that a trained model may be run with fewer or more.
"""

from sequary.blocks.looped import Looped
from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="algoformer",
    title="On the Expressive Power of a Variant of the Looped Transformer",
    kind="block",
    arxiv="2402.13572",
    year=2024,
    modalities=("any",),
    notes=(
        "No code of the authors' was found: built from the paper's description. What enters the loop is added to its state at each "
        "turn, as in the looped transformers that the paper builds on.",
        "The recipe is a small language model; the claim's experiment trains its three blocks on in-context regression, with the "
        "loss on the last turns.",
        "Parts are those of a modern decoder (rotary positions, RMS norms, SwiGLU).",
    ),
)
block = part(PreNorm, parts=(part(CausalAttention, heads=4), part(SwiGLU)))
RECIPE = language_model(
    dim=128,
    depth=3,
    blocks=(block, part(Looped, block=block, loops=6), block),
    tiny=(
        ("dim", 32),
        ("model__backbone__blocks__1__loops", 2),
        ("model__tokens__vocab", 32),
        ("model__head__vocab", 32),
    ),
)
CLAIM = Claim(
    "a loop between two blocks regresses on fixed unknown features in context with less error than three blocks once or all looped",
    experiment="in_context",
    against="three blocks; the same three looped",
    metric="nmse",
    margin=0.01,
    settings={
        "inputs": 3, "features": 3, "examples": 10, "noise": 0.0, "dim": 32, "heads": 4, "loops": 4, "last": 2,
        "steps": 1000, "batch": 32, "grid": (1e-3, 3e-3), "seeds": 16,
        "live": {"steps": 100, "grid": (3e-3,)},
    },
)  # fmt: skip
