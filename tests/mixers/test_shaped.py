"""Shaped attention and its feed-forward against their formulas, row by row."""

from __future__ import annotations

import math

import torch

from sequary.mixers.attention.shaped import CausalShapedAttention, Shaped, ShapedAttention
from sequary.mixers.mlp.shaped import ShapedReLU


def matrices(mixer: Shaped, x_TD: torch.Tensor, *, causal: bool) -> torch.Tensor:
    """Σ over heads of W_o[:, h] A_h v_h, A_h = α softmax(q kᵀ / τ) + β I − γ C, written for each query."""
    total = torch.zeros_like(x_TD)
    for h in range(mixer.heads):
        at = slice(h * mixer.width, (h + 1) * mixer.width)
        q, k, v = (x_TD @ mixer.get_parameter(f"qkv.{name}.weight")[at].mT for name in "qkv")
        for t in range(len(x_TD)):
            seen = t + 1 if causal else len(x_TD)
            row = mixer.softmax[h] * (q[t] @ k[:seen].mT / math.sqrt(x_TD.shape[1] * mixer.width) / 0.5).softmax(0)
            row = row - mixer.centre[h] / seen
            row = row + mixer.identity[h] * (torch.arange(seen) == t)
            total[t] += mixer.o.weight[:, at] @ (row @ v[:seen])
    return total


def test_the_matrix_is_softmax_and_identity_less_the_mean() -> None:
    x = torch.randn(1, 5, 8, dtype=torch.float64)
    for cls, causal in ((ShapedAttention, False), (CausalShapedAttention, True)):
        mixer = cls(8, heads=2, temperature=0.5).double()
        with torch.no_grad():
            for gain in (mixer.softmax, mixer.identity, mixer.centre):
                gain += torch.randn(2)
        torch.testing.assert_close(mixer(x)[0], matrices(mixer, x[0], causal=causal))


def test_the_activation_keeps_the_size_of_normal_inputs_and_straightens() -> None:
    x = torch.randn(1_000_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    bends = {width: ShapedReLU(width, above=0.5, below=-1.5) for width in (4, 10_000)}
    for f in bends.values():
        assert abs(float(f(x).square().mean()) - 1) < 0.01
    assert bends[10_000].up - bends[10_000].down < 0.021 < 0.5 < bends[4].up - bends[4].down
