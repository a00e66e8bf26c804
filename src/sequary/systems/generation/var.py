"""VAR: an image as token maps from coarse to fine, each predicted whole from the coarser ones.

Tokenizer: r_k = argmin_v ‖area(f − f̂, n_k) − e_v‖, f̂ ← f̂ + refine(bicubic(e_{r_k})), one codebook for all scales. Prior:
p(r_1 … r_K) = Π_k p(r_k | r_1 … r_{k−1}, class), a transformer whose positions of scale k read area(f̂_{k−1}, n_k) and see scales 1 … k;
the class enters by adaptive norms and as the start; queries and keys are cosines. K calls make an image, guidance grows with k.

Longer than 80 lines because a tokenizer and a prior are two models, each with sizes of its own.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.adaln import AdaLN
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.decode.choice import Drawn
from sequary.decode.guidance import Growing
from sequary.decode.scales import ScaleByScale
from sequary.heads.categorical import Categorical
from sequary.mixers.attention.normed import NormedAttention
from sequary.mixers.attention.query_key import Unit
from sequary.mixers.mlp.tanh_gelu import TanhMLP
from sequary.models.next_scale import NextScale
from sequary.models.tokenized import Tokenized
from sequary.objectives.image_tokens import NextGroup, Reconstruct
from sequary.orders.scales import Scales
from sequary.tokens.image_conv import ConvCoder
from sequary.tokens.multiscale_vq import MultiScaleVQ

CARD = Card(
    id="var",
    title="Visual Autoregressive Modeling: Scalable Image Generation via Next-Scale Prediction",
    kind="generation",
    arxiv="2404.02905",
    year=2024,
    modalities=("image",),
    notes=(
        "The default is for 28 × 28 images; adversarial and perceptual losses of the authors' tokenizer are left out.",
        "Keys have a bias, which the authors' fixed at zero.",
        "Without q/k norm the authors scale scores by 0.25/√K, not 1/√K: the converter has a part that does so (Scaled).",
        "The authors drop labels in eval mode too; here only the objective does.",
        "Declined: top_k above 1, since it would have to draw from the source's own generator.",
    ),
)
SIDES = (1, 2, 4, 7)
VOCAB = 128
TOKENIZER = Train(steps=1000, batch=32, lr=2e-3)
PRIOR = Train(steps=1500, batch=64, lr=3e-3, warmup=0.05)
coder = part(ConvCoder, channels=FromData("channels"), width=16, multiples=(1, 2, 2))
block = part(AdaLN, parts=(part(NormedAttention, heads=4, normal=part(Unit)), part(TanhMLP)))
RECIPE = Recipe(
    dim=64,
    model=part(
        Tokenized,
        tokenizer=part(MultiScaleVQ, vocab=VOCAB, code=16, scales=SIDES, coder=coder),
        prior=part(
            NextScale,
            classes=FromData("classes"),
            code=16,
            order=Scales(SIDES),
            backbone=part(Stack, depth=4, blocks=(block,)),
            head=part(Categorical, vocab=VOCAB, bias=True),
        ),
    ),
    stages=(
        Stage(name="tokenizer", objective=Reconstruct(), train=TOKENIZER, learns="tokenizer"),
        Stage(name="prior", objective=NextGroup(), train=PRIOR, learns="prior"),
    ),
    decode=ScaleByScale(choice=Drawn(), guidance=Growing(1.5)),
    tiny=(
        *(("dim", 16), ("model__prior__backbone__depth", 1), ("model__prior__order__sides", (1, 2, 3))),
        *(("model__tokenizer__coder__width", 8), ("model__tokenizer__coder__multiples", (1, 1))),
        *(("model__tokenizer__scales", (1, 2, 3)), ("model__tokenizer__refiners", 3)),
    ),
)
PAPER = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)
large = part(ConvCoder, channels=3, width=160, multiples=(1, 1, 2, 2, 4), blocks=2, groups=32)
tokenizer = part(MultiScaleVQ, vocab=4096, code=32, scales=PAPER, coder=large)
SIZES = {
    f"d{depth}": {
        "dim": 64 * depth,
        "model__tokenizer": tokenizer,
        "model__prior__code": 32,
        "model__prior__order": Scales(PAPER),
        "model__prior__head__vocab": 4096,
        "model__prior__backbone__depth": depth,
        "model__prior__backbone__blocks__0__parts__0__heads": depth,
    }
    for depth in (16, 20, 24, 30)
}
SMALL = {"stages__0__train__steps": 600, "stages__1__train__steps": 700}
LIVE = {"dim": 32, "model__prior__backbone__depth": 2, "stages__0__train__steps": 100, "stages__1__train__steps": 100}
CLAIM = Claim(
    "predicting the next scale whole makes better images than raster next-token prediction at equal training time, in K calls instead of T",
    experiment="sample_quality",
    against="raster-codes",
    metric="frechet",
    settings={
        "system": SMALL,
        "twin": SMALL,
        "rates": (1e-3, 3e-3),
        "guidance": (1.0, 1.5, 2.5),
        "samples": 500,
        "live": {"system": LIVE, "twin": LIVE, "rates": (3e-3,), "guidance": (1.5,), "samples": 200},
    },
)
