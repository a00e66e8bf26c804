"""MEGABYTE: a large transformer over patches of bytes, and a small one inside each patch, all patches at once in training.

Patch k enters the global model as its P bytes' embeddings side by side, one patch late: g_k = global(start, patch_0 … patch_{k−1}).
g_k is cut into P slices; byte p of the patch is predicted by local(start + slice_0, byte_0 + slice_1 … byte_{p−1} + slice_p).
Attention costs N²/P² + N·P, and the global feed-forward runs once a patch. Where we differ: rotary positions in both models instead
of learned ones, so that any length works. While decoding, the open patch (at most P bytes, in one call) is run again for each
byte, so that the state is its bytes and the global cache, and rows of a batch may stand at different phases.
"""

from sequary.backbones.stack import Stack
from sequary.blocks.handover import SharedSlices
from sequary.blocks.norms import RMSNorm
from sequary.blocks.prenorm import PreNorm
from sequary.builders import SPEAKING
from sequary.core.card import Card, Claim
from sequary.core.part import FromData, Tied, part
from sequary.core.recipe import Recipe, Stage
from sequary.decode.stepwise import Stepwise
from sequary.heads.shared_symbols import SharedSymbols
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.dense import MLP
from sequary.models.megabyte import Megabyte
from sequary.objectives.tokens import NextToken
from sequary.tokens.byte_patches import ConcatenatedBytes
from sequary.tokens.symbols import Embedding

CARD = Card(
    id="megabyte",
    title="MEGABYTE: Predicting Million-byte Sequences with Multiscale Transformers",
    kind="backbone",
    arxiv="2305.07185",
    year=2023,
    modalities=("text", "image", "audio"),
    notes=(
        "Parity is with MEGABYTE-pytorch, which differs from the paper: slices meet the byte they belong to, not the one "
        "before; the last position of a patch predicts the next patch; norms around the patch embedding; token shift.",
        "That package leaves the bytes equal to pad_id (0 by default) out of the loss, padding or not; its forward of an "
        "empty sequence adds a slice to the start vectors, which its other forward does not.",
        "Declined: depth or max_seq_len of one entry, which is a plain transformer without patches.",
        "A decoding state goes back only to where it was kept: bytes before the open patch are not stored.",
    ),
)
letters = Tied("bytes", part(Embedding, vocab=FromData("vocab")))
block = part(PreNorm, parts=(part(CausalAttention, heads=4), part(MLP)))
RECIPE = Recipe(
    dim=128,
    model=part(
        Megabyte,
        widths=(256,),
        coarse=(part(ConcatenatedBytes, vocab=FromData("vocab"), size=4),),
        slices=(part(SharedSlices),),
        fine=letters,
        stages=(
            part(Stack, depth=4, blocks=(block,), norm=part(RMSNorm)),
            part(Stack, depth=2, blocks=(block,), norm=part(RMSNorm)),
        ),
        head=part(SharedSymbols, words=letters),
    ),
    stages=(Stage(objective=NextToken(), train=SPEAKING),),
    decode=Stepwise(new=64),
    tiny=(("dim", 32), ("model__widths", (32,)), ("model__stages__0__depth", 1), ("model__stages__1__depth", 1)),
)
CLAIM = Claim(
    "at equal training compute at most 0.02 bits a byte more than a flat byte transformer, and more bytes a second when generating",
    experiment="compression",
    against="gpt",
    metric="bits_per_byte",
    margin=-0.02,
    settings={
        "baseline": {"model__backbone__depth": 5},
        "context": 256,
        "steps": 800,
        "train": {"stages__0__train__evaluate_every": 1000, "stages__0__train__patience": None},
        "grid": {"stages__0__train__lr": (1e-3, 3e-3)},
        "judged": 50_000,
        "new": 192,
        "rows": 64,
        "live": {"steps": 60, "grid": {"stages__0__train__lr": (3e-3,)}, "judged": 10_000, "new": 64},
    },
)
