"""As many learners for a token as it is given: y = b_0 + Σ_{j <= k} (W2_j gelu(W1_j x + c_j) + b_j), k of the token's own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.ops.forms import chosen
from sequary.ops.operator import complete


def progressive(x: Tensor, k: Tensor, up: Tensor, c: Tensor, down: Tensor, b: Tensor) -> Tensor:
    """[N, D]: x [N, D], k [N] of 0 … L; up [L, h, D], c [L, h], down [L, D, h], b [L + 1, D]. For inference: it has no gradient.

    Forms: "reference" (all learners of all tokens), "grouped" (each learner on the tokens that get so far, the default).
    """
    if chosen("grouped") == "reference":
        return prefixes(x, up, c, down, b)[torch.arange(len(x), device=x.device), k]
    return grouped(x, k, up, c, down, b)


def prefixes(x: Tensor, up: Tensor, c: Tensor, down: Tensor, b: Tensor, *, apart: bool = False) -> Tensor:
    """[..., L + 1, D]: y for every k. `apart`: no gradient from a sum to the learners before its last."""
    hidden = F.gelu(torch.einsum("lhd,...d->...lh", up, x) + c)
    each = torch.einsum("ldh,...lh->...ld", down, hidden) + b[1:]
    each = torch.cat((b[0].expand_as(x)[..., None, :], each), -2)
    sums = each.cumsum(-2)
    return sums.detach() - each.detach() + each if apart else sums


@torch.library.custom_op("sequary::progressive", mutates_args=())
def grouped(x: Tensor, k: Tensor, up: Tensor, c: Tensor, down: Tensor, b: Tensor) -> Tensor:
    y = b[0].expand_as(x).clone()
    for j in range(len(up)):
        rows = (k > j).nonzero()[:, 0]
        if len(rows):
            y[rows] += F.linear(F.gelu(F.linear(x[rows], up[j], c[j])), down[j], b[j + 1])
    return y


def _fake(x: Tensor, k: Tensor, up: Tensor, c: Tensor, down: Tensor, b: Tensor) -> Tensor:
    return torch.empty_like(x)


complete(grouped, fake=_fake)
