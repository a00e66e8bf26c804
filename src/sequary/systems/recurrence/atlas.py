"""ATLAS: a memory that learns, while it reads, to map the keys of a whole window of the context to their values, not the last one's only.

M_t = α_t M_{t−1} − η_t NS(S_t), S_t = θ_t S_{t−1} + Σ_{i=t−c+1}^t γ_i φ(k_i) (M_{t−1}ᵀ φ(k_i) − v_i)ᵀ (the Omega rule; c = 1 is the
delta rule), o_t = M_tᵀ φ(q_t). φ holds the products of key entries, so that a narrow key addresses a large memory; NS brings the step near
to an orthogonal matrix (Muon), so that rare pairs are written as strongly as common ones. α, η, θ, γ come from the token.
"""

from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.linear.atlas import Atlas
from sequary.mixers.mlp.swiglu import SwiGLU

CARD = Card(
    id="atlas",
    title="ATLAS: Learning to Optimally Memorize the Context at Test Time",
    kind="mixer",
    arxiv="2505.23735",
    year=2025,
    modalities=("text", "any"),
    notes=(
        "The memory is a matrix; the paper's is a small network, whose step has no closed form.",
        "Steps are taken token by token, exactly; the paper takes the gradients of a chunk at the memory that the chunk began with.",
        "γ is one weight a token and head, divided by the window; features are unit vectors, so that plain steps with η < 1 are stable.",
        "Sliding-window attention beside the memory and the DeepTransformers are left out; the gate on the output is the delta rule's.",
    ),
)
block = part(PreNorm, parts=(part(Atlas, heads=4), part(SwiGLU)))
RECIPE = language_model(dim=128, depth=4, blocks=(block,))
CLAIM = Claim(
    "written once through, a memory recalls more with the window, polynomial keys and orthogonalised steps than without any one of them",
    experiment="memory_capacity",
    against="the best of the same without one of the three",
    metric="recall",
    better="higher",
    margin=0.01,
    settings={
        "key": 16,
        "value": 16,
        "window": 8,
        "loads": (8, 16, 32, 64, 128, 256),
        "rows": 32,
        "grid": {"eta": (1.0, 0.5, 0.25, 0.1, 0.05), "theta": (0.0, 0.5, 0.9)},
        "seeds": 5,
        "live": {"loads": (16, 64), "rows": 8, "grid": {"eta": (0.5, 0.1), "theta": (0.0, 0.5)}},
    },
)
