"""RAR: raster-order training of an image model, begun in random orders.

With probability r (1, then falling to 0 in training) the codes of a row come in a random order π:
log p(c) = Σ_j log p(c_{π_j} | c_{π_0} … c_{π_{j−1}}, class).
Since π_j is ambiguous, the slot that predicts it gets an embedding of that position: x = e(code) + place[own] + target[π_j]. At r = 0 the
target is the cell after one's own, so `targets` merges into `places`, and sampling is plain raster decoding with a cache.

Longer than 80 lines because a tokenizer and a prior are two models, each with sizes of its own.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.adaln import AdaLN
from sequary.blocks.norms import LayerNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.decode.raster import CodeByCode
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.normed import NormedAttention
from sequary.mixers.attention.query_key import Normed
from sequary.mixers.mlp.dense import MLP
from sequary.models.permuted import PermutedCodes
from sequary.models.tokenized import Tokenized
from sequary.objectives.image_tokens import PermutedTokens, Reconstruct
from sequary.orders.permuted import Permuted
from sequary.tokens.image_pool import Kept, PoolCoder
from sequary.tokens.vq import VQ

CARD = Card(
    id="rar",
    title="Randomized Autoregressive Visual Generation",
    kind="generation",
    arxiv="2411.00776",
    year=2024,
    modalities=("image",),
    notes=(
        "The default is for 28 × 28 images; adversarial and perceptual losses of MaskGIT's tokenizer are left out.",
        "Where the width changes, the source's tokenizer maps the block's own output into the shortcut and loses the input: the "
        "converter has a part that does so (Lost); here the input is kept.",
        "The source weighs the codebook's term by 0.25 and the commitment by 1; here it is the other way round, as in VQ-VAE.",
        "The sources' final adaptive norm stores scale before shift; ours shift before scale, as in the blocks.",
    ),
)
GRID = (7, 7)
VOCAB = 128
TOKENIZER = Train(steps=1000, batch=32, lr=2e-3)
PRIOR = Train(steps=2000, batch=64, lr=3e-3, warmup=0.05)
coder = part(PoolCoder, channels=FromData("channels"), width=16, multiples=(1, 2, 4))
order = Permuted(start=0.5, stop=0.75)
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
        Stage(name="prior", objective=PermutedTokens(grid=GRID, order=order), train=PRIOR, learns="prior"),
    ),
    decode=CodeByCode(grid=GRID, order=order),
    tiny=(
        *(("dim", 16), ("model__prior__backbone__depth", 1), ("model__prior__cells", 9)),
        *(("model__tokenizer__coder__width", 8), ("model__tokenizer__coder__multiples", (1, 1))),
        *(("model__tokenizer__grid", (3, 3)), ("stages__1__objective__grid", (3, 3)), ("decode__grid", (3, 3))),
    ),
)
large = part(PoolCoder, channels=3, width=128, multiples=(1, 1, 2, 2, 4), blocks=2, block=part(Kept, groups=32))
SIZES = {
    size: {
        "model__tokenizer": part(VQ, vocab=1024, code=256, grid=(16, 16), coder=large),
        "dim": dim,
        "model__prior__vocab": 1024,
        "model__prior__cells": 256,
        "model__prior__head__vocab": 1024,
        "stages__1__objective__grid": (16, 16),
        "decode__grid": (16, 16),
        "model__prior__backbone__depth": depth,
        **{
            f"model__prior__backbone__blocks__0__parts__{i}__{k}": v
            for i, k, v in ((0, "heads", 16), (1, "hidden", mlp))
        },
    }
    for size, dim, depth, mlp in (
        *(("b", 768, 24, 3072), ("l", 1024, 24, 4096)),
        *(("xl", 1280, 32, 5120), ("xxl", 1408, 40, 6144)),
    )
}
CLAIM = Claim(
    "random orders annealed to raster give a lower raster-order loss on held-out images than raster alone, each at its best "
    "moment of training, and than random orders throughout",
    experiment="raster_loss",
    against="raster-codes",
    metric="nats",
    settings={
        "system": {
            "dim": 48,
            "model__prior__backbone__depth": 3,
            "stages__0__train__steps": 600,
            "stages__1__train__steps": 1500,
        },
        "rows": 2000,
        "rates": (1e-3, 3e-3),
        "seeds": 6,
        "live": {
            "system": {
                "dim": 48,
                "model__prior__backbone__depth": 2,
                "stages__0__train__steps": 100,
                "stages__1__train__steps": 250,
            },
            "rows": 1000,
            "rates": (3e-3,),
        },
    },
)
