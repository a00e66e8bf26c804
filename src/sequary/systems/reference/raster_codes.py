"""Codes in raster order: the plain autoregressive image model that others are measured by.

log p(c) = Σ_t log p(c_t | c_1 … c_{t−1}, class) over the codes of a vector-quantised image, row by row; sampling keeps keys and values.
It is `rar` with raster order from the first step: same tokenizer, same transformer, same sizes.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.adaln import AdaLN
from sequary.blocks.norms import LayerNorm
from sequary.core.card import Card
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.decode.choice import Drawn
from sequary.decode.guidance import Growing
from sequary.decode.raster import CodeByCode
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.normed import NormedAttention
from sequary.mixers.attention.query_key import Normed
from sequary.mixers.mlp.dense import MLP
from sequary.models.permuted import PermutedCodes
from sequary.models.tokenized import Tokenized
from sequary.objectives.image_tokens import PermutedTokens, Reconstruct
from sequary.orders.permuted import Permuted
from sequary.tokens.image_pool import PoolCoder
from sequary.tokens.vq import VQ

CARD = Card(
    id="raster-codes",
    title="Raster-order next-token prediction over vector-quantised images",
    kind="reference",
    modalities=("image",),
)
GRID = (7, 7)
RASTER = Permuted(start=0.0, stop=0.0)
VOCAB = 128
TOKENIZER = Train(steps=1000, batch=32, lr=2e-3)
PRIOR = Train(steps=2000, batch=64, lr=3e-3, warmup=0.05)
coder = part(PoolCoder, channels=FromData("channels"), width=16, multiples=(1, 2, 4))
block = part(
    AdaLN, parts=(part(NormedAttention, heads=4, normal=part(Normed)), part(MLP)), norm=part(LayerNorm, eps=1e-6)
)
RECIPE = Recipe(
    dim=64,
    model=part(
        Tokenized,
        tokenizer=part(VQ, vocab=VOCAB, code=16, grid=GRID, coder=coder),
        prior=part(
            PermutedCodes,
            classes=FromData("classes"),
            vocab=VOCAB,
            cells=GRID[0] * GRID[1],
            backbone=part(Stack, depth=4, blocks=(block,)),
            head=part(Categorical, vocab=VOCAB, bias=True),
        ),
    ),
    stages=(
        Stage(name="tokenizer", objective=Reconstruct(), train=TOKENIZER, learns="tokenizer"),
        Stage(name="prior", objective=PermutedTokens(grid=GRID, order=RASTER), train=PRIOR, learns="prior"),
    ),
    decode=CodeByCode(grid=GRID, order=RASTER, choice=Drawn(), guidance=Growing(2.0)),
    tiny=(
        *(("dim", 16), ("model__prior__backbone__depth", 1), ("model__prior__cells", 9)),
        *(("model__tokenizer__coder__width", 8), ("model__tokenizer__coder__multiples", (1, 1))),
        *(("model__tokenizer__grid", (3, 3)), ("stages__1__objective__grid", (3, 3)), ("decode__grid", (3, 3))),
    ),
)
