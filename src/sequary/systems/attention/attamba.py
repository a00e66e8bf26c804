"""Attamba: keys and values come from scans, and of each chunk only the last state is kept and attended to.

k = scan_k(x), v = scan_v(x), each a selective state space in place of a projection; o_t = Σ_s softmax_s(q_t·k_s / √K) v_s over the s <= t
that end a chunk of P tokens, and over the last few tokens. What a chunk said is in its last state, so the cache is P times smaller than a
transformer's; P = 1 is full attention. Chunks end elsewhere in each layer.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.contracts import Recurrent
from sequary.core.part import Part, part
from sequary.core.recipe import Recipe
from sequary.mixers.attention.chunk_states import ChunkStateAttention
from sequary.mixers.mlp.dense import MLP
from sequary.mixers.mlp.swiglu import SwiGLU
from sequary.mixers.ssm.mamba import Mamba

CARD = Card(
    id="attamba",
    title="Attamba: Attending To Multi-Token States",
    kind="mixer",
    arxiv="2411.17685",
    year=2024,
    aliases=("attamba-tokens",),
    modalities=("text",),
    notes=(
        "Training computes all scores and masks them: the smaller cache is the state's, and saves memory and time when text is written.",
        "Chunks have one length each, shifted by one token a layer; chunks of drawn or chosen lengths are left out.",
    ),
)


def _model(scan: Part[Recurrent]) -> Recipe:
    attention = part(ChunkStateAttention, heads=4, chunk=8, window=4, keys=scan, values=scan)
    return language_model(dim=128, depth=4, blocks=(part(PreNorm, parts=(attention, part(SwiGLU))),))


RECIPE = _model(part(Mamba, expand=1))
VARIANTS = {"attamba-tokens": _model(part(MLP, ratio=2))}
TRAIN = {"dim": 64, "model__backbone__depth": 2, "stages__0__train__batch": 8}
CLAIM = Claim(
    "with one key and one value for 8 tokens, states of scans save bits over functions, as large, of the chunk's last token alone",
    experiment="twin_text",
    against="attamba-tokens",
    metric="bits",
    margin=0.02,
    settings={
        "context": 128,
        "judged": 50_000,
        "seeds": 11,
        "train": {**TRAIN, "stages__0__train__steps": 500},
        "grid": {"stages__0__train__lr": (3e-3, 1e-3)},
        "live": {
            "judged": 5_000,
            "train": {**TRAIN, "stages__0__train__steps": 50},
            "grid": {"stages__0__train__lr": (3e-3,)},
        },
    },
)
