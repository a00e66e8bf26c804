"""Diffusion loss: autoregression over continuous tokens, whose density a small diffusion network gives.

L(z, x) = E_{ε, i} ‖ε − ε_θ(√ᾱ_i x + √(1 − ᾱ_i) ε | i, z)‖², z = the transformer's vector at x's cell; a token is drawn by running the chain
backwards given z. Here under a masked autoregressive model: the encoder reads what is known, the decoder gives z at the rest, cells are
drawn many at a time in a random order. Latents come from a variational autoencoder; nothing is quantised.

Longer than 80 lines because a tokenizer and a prior are two models, each with sizes of its own.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.prenorm import PreNorm
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.decode.guidance import Growing
from sequary.decode.masked import MaskedGroups
from sequary.heads.diffusion import Diffusion
from sequary.mixers.attention.full import Attention
from sequary.mixers.mlp.dense import MLP
from sequary.models.masked_latents import MaskedLatents
from sequary.models.tokenized import Tokenized
from sequary.noise.gaussian import Gaussian, LinearBetas
from sequary.objectives.image_tokens import MaskedLatentTokens, Reconstruct
from sequary.orders.masked import Masked
from sequary.tokens.image_conv import ConvCoder
from sequary.tokens.image_vae import ImageVAE

CARD = Card(
    id="mar-diffusion-loss",
    title="Autoregressive Image Generation without Vector Quantization",
    kind="head",
    arxiv="2406.11838",
    year=2024,
    modalities=("image", "any"),
    notes=(
        "The default is for 28 × 28 images, with a small autoencoder of our own in place of the authors' KL-16.",
        "The default's noise is linear: the authors' cosine schedule (in SIZES) divides by √ᾱ near 0 in its first steps backwards, and "
        "after minutes of training its samples run away.",
        "After minutes of training fewer iterations, cooler noise and more guidance than the authors' draw better digits: they were "
        "chosen by the distance of 400 images from those held out.",
        "The variance is learnt by the full variational term beside the squared error, as in the authors' code; its first step is a "
        "likelihood in bins of 2/255.",
        "Declined: a cfg_schedule other than linear and constant, and num_sampling_steps='ddimN' where no whole stride gives N steps: "
        "the source cannot do either.",
    ),
)
GRID = (7, 7)
TOKENIZER = Train(steps=800, batch=32, lr=2e-3)
PRIOR = Train(steps=2500, batch=64, lr=3e-3, warmup=0.05, ema=0.99)
NORM = part(LayerNorm, eps=1e-6)
NOISE = Gaussian(1000, LinearBetas())
block = part(PreNorm, parts=(part(Attention, heads=4), part(MLP)), norm=NORM)
coder = part(ConvCoder, channels=FromData("channels"), width=16, multiples=(1, 2, 2))
half = part(Stack, depth=3, blocks=(block,), norm=NORM)
RECIPE = Recipe(
    dim=64,
    model=part(
        Tokenized,
        tokenizer=part(ImageVAE, code=4, grid=GRID, coder=coder),
        prior=part(
            MaskedLatents,
            classes=FromData("classes"),
            channels=4,
            cells=GRID[0] * GRID[1],
            buffer=8,
            encoder=half,
            decoder=half,
            head=part(Diffusion, channels=4, width=64, depth=3, noise=NOISE, calls=25),
        ),
    ),
    stages=(
        Stage(name="tokenizer", objective=Reconstruct(), train=TOKENIZER, learns="tokenizer"),
        Stage(name="prior", objective=MaskedLatentTokens(grid=GRID), train=PRIOR, learns="prior"),
    ),
    decode=MaskedGroups(grid=GRID, order=Masked(iterations=8), guidance=Growing(3.0), temperature=0.8),
    tiny=(
        *(("dim", 16), ("model__prior__encoder__depth", 1), ("model__prior__decoder__depth", 1)),
        *(("model__tokenizer__coder__width", 8), ("model__tokenizer__coder__multiples", (1, 1))),
        *(("model__prior__head__width", 32), ("model__prior__head__calls", 10), ("model__prior__cells", 9)),
        ("model__prior__head__noise", Gaussian(100, LinearBetas())),
        *(("model__tokenizer__grid", (3, 3)), ("stages__1__objective__grid", (3, 3)), ("decode__grid", (3, 3))),
    ),
)
large = part(ConvCoder, channels=3, width=128, multiples=(1, 1, 2, 2, 4), blocks=2, groups=32)
SIZES = {
    size: {
        "model__tokenizer": part(ImageVAE, code=16, grid=(16, 16), coder=large),
        "dim": dim,
        "model__prior__channels": 16,
        "model__prior__cells": 256,
        "model__prior__buffer": 64,
        **{f"model__prior__{side}__depth": depth for side in ("encoder", "decoder")},
        **{f"model__prior__{side}__blocks__0__parts__0__heads": heads for side in ("encoder", "decoder")},
        **{
            f"model__prior__{side}__blocks__0__parts__{i}__dropout": 0.1
            for side in ("encoder", "decoder")
            for i in (0, 1)
        },
        "model__prior__head": part(Diffusion, channels=16, depth=head, width=width),
        "stages__1__objective__grid": (16, 16),
        "decode__grid": (16, 16),
        "decode__order__iterations": 64,
        "decode__temperature": 1.0,
    }
    for size, dim, depth, heads, head, width in (
        *(("base", 768, 12, 12, 6, 1024), ("large", 1024, 16, 16, 8, 1280)),
        ("huge", 1280, 20, 16, 12, 1536),
    )
}
CLAIM = Claim(
    "given a vector, the diffusion head draws tokens nearer to a two-mode and a circular density than squared error, which gives "
    "their mean, and than codes, which lose what lies between them",
    experiment="density",
    metric="sample_distance",
    settings={
        "channels": 4,
        "vocab": 256,
        "rows": 9000,
        "steps": 1500,
        "rates": (1e-3, 3e-3),
        "live": {"steps": 300, "rates": (3e-3,), "rows": 3000},
    },
)
