"""The neighbours of each token of a row, tap by tap: what convolutions with weights of their own at each token are summed over."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.ops.causal_conv import Line


def taps(
    x_BTD: Tensor,
    past_BKD: Tensor,
    *,
    ahead: int = 0,
    mask_BT: Tensor | None = None,
    starts_BT: Tensor | None = None,
) -> tuple[list[Tensor], Tensor]:
    """(the K + 1 + `ahead` neighbours [B, T, D], oldest first; the last K inputs).

    Neighbour j of token t is x_{t - K + j}; zeros beyond the ends of its sequence. `past` [B, K, D] holds the inputs before the first
    token, zeros at the start of a sequence; `starts` is that of `causal_conv.starts`.
    """
    line = Line.up(x_BTD, past_BKD, mask_BT, starts_BT)
    before, length = past_BKD.shape[1], x_BTD.shape[1]
    tokens_BSD = F.pad(line.tokens, (0, 0, 0, ahead))
    found: list[Tensor] = []
    for tap in range(before + 1 + ahead):
        near_BTD = tokens_BSD[:, tap : tap + length]
        if line.runs is not None:
            runs_BS = F.pad(line.runs, (0, ahead), value=-1)
            near_BTD = near_BTD * (runs_BS[:, tap : tap + length] == line.runs[:, before:])[..., None]
        found.append(line.put_back(near_BTD))
    return found, line.past()


def weighed(near: list[Tensor], weight_BTHK: Tensor) -> Tensor:
    """[B, T, D] Σ_j weight[h, j] · near[j], head h for the h-th of H equal shares of the D channels."""
    per_head = near[0].shape[-1] // weight_BTHK.shape[-2]
    y_BTD = torch.zeros_like(near[0])
    for tap, near_BTD in enumerate(near):
        y_BTD = y_BTD + near_BTD * weight_BTHK[..., tap].repeat_interleave(per_head, -1)
    return y_BTD
