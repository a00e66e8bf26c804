"""HDT: a document's own tree says who attends to whom; anchors stand for the document, its sections and its sentences.

A token reads its siblings, its parent's anchor and its children: words their sentence, sentences their section, sections each other and
the document. o_t = Σ_s softmax_s(q_t·k_s / √K) v_s over these s in one softmax. A token's place is its address in the tree, one
number (mixers/attention/document_tree.py), which comes as `Batch.positions`; without it tokens are counted, every 64 of them a sentence.
"""

from typing import cast

from sequary.backbones.stack import Stack
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, Part, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.document_tree import TreeAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.encoder import TokenEncoder
from sequary.objectives.masked_tokens import MaskedTokens
from sequary.tokens.symbols import Embedding
from sequary.tokens.tree_symbols import TreeSymbols

CARD = Card(
    id="hdt",
    title="HDT: Hierarchical Document Transformer",
    kind="mixer",
    arxiv="2407.08330",
    year=2024,
    modalities=("text",),
    notes=(
        "Anchors are the data's: a text is given with its anchor tokens and addresses. The recipe is small, an encoder trained by "
        "predicting hidden tokens; the encoder-decoder and its objective are left out.",
        "The block-skipping kernel is here a sort by family at each level and attention in blocks as long as a family, in one softmax.",
        "Declined: causal=True of the kernel, which masks neither anchors nor by the keys' own places.",
    ),
)
SIZES_OF_FAMILIES = (64, 64, 32)


def block(sizes: tuple[int, ...]) -> Part[PreNorm]:
    return part(PreNorm, parts=(part(TreeAttention, heads=4, sizes=sizes), part(MLP)))


RECIPE = Recipe(
    dim=128,
    model=part(
        TokenEncoder,
        tokens=cast("Part[Embedding]", part(TreeSymbols, vocab=FromData("vocab"), sizes=SIZES_OF_FAMILIES)),
        backbone=part(Stack, depth=4, blocks=(block(SIZES_OF_FAMILIES),)),
        head=part(Categorical, vocab=FromData("vocab"), bias=True),
    ),
    stages=(Stage(objective=MaskedTokens(), train=Train(lr=1e-3, batch=32, steps=2000, warmup=0.1)),),
    tiny=(
        ("dim", 32),
        ("model__tokens__sizes", (8, 4, 4)),
        ("model__backbone__depth", 2),
        ("model__backbone__blocks", (block((8, 4, 4)),)),
    ),
)
CLAIM = Claim(
    "along its tree every token of a document hears of every other within five layers, in a window of as many pairs only after more",
    experiment="tree_reach",
    against="a window of as many pairs",
    metric="layers",
    margin=1.0,
    settings={"sections": 6, "sentences": 6, "words": 12, "dim": 16, "heads": 2, "share": 0.2, "seeds": 5},
)
