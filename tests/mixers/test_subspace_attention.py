"""Subspace attention against its formula, and what masked cells do to it."""

from __future__ import annotations

import torch

from sequary.core.ctx import Ctx
from sequary.mixers.conv.subspace_attention import SubspaceAttention


def built() -> SubspaceAttention:
    torch.manual_seed(0)
    return SubspaceAttention(6, groups=2).double()


def test_it_is_the_papers_formula() -> None:
    mixer, x = built(), torch.randn(3, 4, 6, dtype=torch.float64)
    out = torch.zeros_like(x)
    for group in (slice(0, 3), slice(3, 6)):
        logits = torch.zeros(3, 4, dtype=torch.float64)
        for row in range(3):
            for column in range(4):
                near = x[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2, group]
                top = (near * mixer.scale[group] + mixer.shift[group]).amax((0, 1))
                logits[row, column] = (top * mixer.point[group]).sum()
        out[..., group] = x[..., group] * (1 + logits.flatten().softmax(0).view(3, 4, 1))
    torch.testing.assert_close(mixer(x.flatten(0, 1)[None], Ctx(grid=(3, 4)))[0], out.flatten(0, 1), rtol=0, atol=1e-12)


def test_masked_cells_are_as_if_outside_of_the_image() -> None:
    mixer, x = built(), torch.randn(1, 3, 4, 6, dtype=torch.float64)
    mask = torch.ones(1, 3, 4, dtype=torch.bool)
    mask[:, :, 3] = False
    whole = mixer(x.flatten(1, 2), Ctx(grid=(3, 4), mask=mask.flatten(1))).view(1, 3, 4, 6)[:, :, :3]
    cut = mixer(x[:, :, :3].flatten(1, 2), Ctx(grid=(3, 3))).view(1, 3, 3, 6)
    torch.testing.assert_close(whole, cut, rtol=0, atol=1e-12)
