"""Options of NPT's source that no stored case has: against the formulas of its block."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.convert.declined import Declined
from sequary.convert.npt import load, replay
from sequary.convert.npt_parts import Block, Settings

DIM, HEADS = 8, 2
X = torch.randn(2, 5, DIM, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
USUAL = {"dim": DIM, "model_num_heads": HEADS}


def weights(depth: int, last: int, **left_out: bool) -> dict[str, Tensor]:
    """Noise for the source's names; linear maps of the feed-forward at 0, 3, 6 …, dropouts between them."""
    rng = torch.Generator().manual_seed(1)
    sizes = [(DIM, 4 * DIM), *[(4 * DIM, 4 * DIM)] * (depth - 1), (4 * DIM, DIM)]
    maps = {f"rff.{last * n}": size for n, size in enumerate(sizes)}
    maps |= {f"fc_{n}": (DIM, DIM) for n in ("q", "k", "v", "mix_heads", "res") if not left_out.get(n)}
    made = {f"mab.{n}.weight": torch.randn(o, i, generator=rng, dtype=torch.float64) for n, (i, o) in maps.items()}
    made |= {f"mab.{n}.bias": torch.randn(o, generator=rng, dtype=torch.float64) for n, (_, o) in maps.items()}
    if left_out.get("ln"):
        return made
    names = (f"mab.ln{n}.{leaf}" for n in (0, 1) for leaf in ("weight", "bias"))
    return made | {name: torch.randn(DIM, generator=rng, dtype=torch.float64) for name in names}


def block(w: dict[str, Tensor], a: dict[str, Any], *, last: int) -> Tensor:
    """The source's block, written out."""

    def mapped(name: str, x: Tensor) -> Tensor:
        return F.linear(x, w[f"mab.{name}.weight"], w[f"mab.{name}.bias"])

    def normed(n: int, x: Tensor) -> Tensor:
        if not a.get("model_att_block_layer_norm", True):
            return x
        return F.layer_norm(x, (DIM,), w[f"mab.ln{n}.weight"], w[f"mab.ln{n}.bias"], 1e-12)

    first = a.get("model_pre_layer_norm", True)
    q, k, v = mapped("fc_q", normed(0, X) if first else X), mapped("fc_k", X), mapped("fc_v", X)
    outs: list[Tensor] = []
    for h in range(HEADS):
        at = slice(h * DIM // HEADS, (h + 1) * DIM // HEADS)
        scores = torch.einsum("bik,bjk->bij", q[..., at], k[..., at])
        constant = a.get("model_att_score_norm") == "constant"
        share = scores / (DIM // HEADS) if constant else (scores / DIM**0.5).softmax(-1)
        outs.append(share @ v[..., at])
    mixed = torch.cat(outs, -1)
    mixed = mapped("fc_mix_heads", mixed) if a.get("model_mix_heads", True) else mixed
    x = mixed + (mapped("fc_res", X) if a.get("model_sep_res_embed", True) else q)
    x = x if first else normed(0, x)
    y = normed(1, x) if first else x
    if not a.get("model_ablate_rff", False):
        depth = a.get("model_rff_depth", 1)
        for n in range(depth):
            y = F.gelu(mapped(f"rff.{last * n}", y))
        y = mapped(f"rff.{last * depth}", y)
    return x + y if first else normed(1, x + y)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model_mix_heads": False},
        {"model_sep_res_embed": False},
        {"model_att_block_layer_norm": False},
        {"model_pre_layer_norm": False},
        {"model_pre_layer_norm": False, "model_sep_res_embed": False},
        {"model_att_score_norm": "constant"},
        {"model_rff_depth": 3},
        {"model_rff_depth": 2, "model_hidden_dropout_prob": 0.0},
        {"model_ablate_rff": True},
    ],
)
def test_a_block_of_any_options(changes: dict[str, Any]) -> None:
    last = 3 if changes.get("model_hidden_dropout_prob", 0.1) else 2
    without = {
        "mix_heads": not changes.get("model_mix_heads", True),
        "res": not changes.get("model_sep_res_embed", True),
        "ln": not changes.get("model_att_block_layer_norm", True),
    }
    w = weights(changes.get("model_rff_depth", 1), last, **without)
    module = load("MHSA", {**USUAL, **changes}, w)
    torch.testing.assert_close(replay(module, {"X": X}, {})["y"], block(w, changes, last=last))


def test_the_variant_with_the_usual_options_is_the_systems_own_block() -> None:
    w = weights(1, 3)
    own = load("MHSA", USUAL, w)
    variant = Block(DIM, settings=Settings.of(USUAL)).double()
    assert not isinstance(own, Block)
    names = {"qkv.q": "fc_q", "qkv.k": "fc_k", "qkv.v": "fc_v", "o": "fc_mix_heads", "residual": "fc_res"}
    names |= {"norms.0": "ln0", "norms.1": "ln1", "feed.0": "rff.0", "feed.1": "rff.3"}
    variant.load_state_dict(
        {f"{o}.{leaf}": w[f"mab.{t}.{leaf}"] for o, t in names.items() for leaf in ("weight", "bias")}
    )
    torch.testing.assert_close(own(X), variant(X))


def test_image_patches_are_declined_by_name() -> None:
    with pytest.raises(Declined, match="model_image_n_patches=4"):
        load("NPTModel", {**USUAL, "model_image_n_patches": 4}, {})
