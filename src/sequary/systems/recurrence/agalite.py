"""AGaLiTe: gated linear attention for agents, whose outer-product state is replaced by a few oscillating sums of vectors.

C_t = ((1 − β_t)(1 − γ_t)ᵀ) ⊙ C_{t-1} + (β_t ⊙ v_t)(γ_t ⊙ φ(k_t))ᵀ, φ and γ outer products of two maps; instead of C, r sums of keys and
of values, each written with cos(ω_j t), whose products cancel between different times. Memory is r vectors instead of a matrix, and a
step costs the same after any history. Blocks are GTrXL's. The recipe is a language model; no actor and critic are built.
"""

from sequary.blocks.identity_map import IdentityMap
from sequary.blocks.norms import NoNorm
from sequary.builders import language_model
from sequary.core.card import Card, Claim
from sequary.core.part import part
from sequary.mixers.linear.agalite import AGaLiTe
from sequary.mixers.mlp.dense import MLP

CARD = Card(
    id="agalite",
    title="Recurrent Linear Transformers",
    kind="mixer",
    arxiv="2310.15719",
    year=2023,
    modalities=("rl", "text"),
    notes=(
        "The paper's title since its second version is AGaLiTe: Approximate Gated Linear Transformers for Online Reinforcement Learning.",
        "The authors divide by 2 r, which makes a quarter of the exact value; the output's map takes that up.",
        "The exact layer (`GaLiTe`) decays by 1 − β γᵀ, as their code, and not by (1 − β)(1 − γ)ᵀ, which AGaLiTe approximates.",
        "Time is counted from the start of each segment; after a termination their ticks run on, and the converter's do.",
        "Declined: update_rule other than projected_sigmoid, rotary embedding and pp_eluplus1 features of the exact layer.",
        "Declined: an update_rule other than projected_sigmoid, another recurrence than the paper's; use_rotary_emb, by which the source "
        "turns more entries than its features have.",
    ),
)
attention = part(AGaLiTe, heads=4, expand=2, oscillators=8)
block = part(IdentityMap, parts=(attention, part(MLP, activation="relu", ratio=2)))
RECIPE = language_model(dim=64, depth=2, blocks=(block,), norm=part(NoNorm))
CLAIM = Claim(
    "oscillating sums read what the outer-product state reads, the nearer the more of them, at a state that does not grow",
    experiment="oscillators",
    against="fewer oscillators",
    metric="error",
    margin=0.05,
    settings={"tokens": 48, "dim": 16, "heads": 2, "expand": 2, "few": 4, "many": 64, "seeds": 5},
)
