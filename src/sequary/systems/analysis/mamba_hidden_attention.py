"""The hidden attention of Mamba: each channel of its scan is a lower-triangular matrix that the input chooses.

y = α u with α[t, s] = C_t · (Π_{s<r<=t} exp(dt_r A)) dt_s B_s: exact, without the skip D and the gate. Averaged over channels it
can be shown, rolled out over layers and scored like attention weights. A study: Mamba, and the probe that reads α and checks
matrix · input = output.
"""

from sequary.core.card import Card, Claim
from sequary.probe.hidden_attention import HiddenAttention
from sequary.systems.recurrence.mamba import RECIPE as MAMBA

CARD = Card(
    id="mamba-hidden-attention",
    title="The Hidden Attention of Mamba Models",
    kind="analysis",
    arxiv="2403.01590",
    year=2024,
    aliases=("hidden-attention",),
    modalities=("text", "image", "any"),
    notes=(
        "The source's row of the class token lacks that token's decay and own entry; the converter gives the exact row too.",
        "The probe averages α and |α| over channels; its rollout is of |α|, rows summing to one.",
        "Declined: dtype 'float16', the source's default, in which the matrix is stored rounded.",
    ),
)
RECIPE = MAMBA.but(probes=(HiddenAttention(),))
CLAIM = Claim(
    "the matrix read from a Mamba layer, times its input, is its output; where one symbol is to be copied it puts more weight on "
    "it than equal weights, the input's norms or an untrained layer do",
    experiment="hidden_matrix",
    against="the best of equal weights, input norms and the untrained layer",
    metric="mass",
    better="higher",
    settings={
        "train": {
            "dim": 32, "model__backbone__depth": 1,
            "stages__0__train__steps": 1600, "stages__0__train__batch": 32, "stages__0__train__lr": 5e-3,
        },
        "length": 32, "symbols": 16, "taps": 4, "tested": 256, "tolerance": 1e-9, "seeds": 5,
    },
)  # fmt: skip
