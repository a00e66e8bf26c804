"""Convolutions over the past that know padding, packed rows and earlier calls.

A window of K tokens ends at each token. `Line` lines a row's real tokens up, the K - 1 remembered ones before them, so that
what follows is a plain convolution; `starts` says where a packed row's next segment begins, whose windows reach no further back.
"""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor


def starts(segments_BT: Tensor | None, mask_BT: Tensor | None, last_B: Tensor) -> tuple[Tensor | None, Tensor]:
    """(True where a real token opens another segment than the real token before it, segment of the last real token [B]).

    `last` is the segment of the last real token of earlier calls. Without segments there are no starts, and `last` stays.
    """
    if segments_BT is None:
        return None, last_B
    seen_BT = torch.cat((last_B[:, None], segments_BT), 1)
    if mask_BT is not None:
        index_BT = torch.arange(1, mask_BT.shape[1] + 1, device=mask_BT.device)
        latest_BT = torch.where(mask_BT, index_BT, 0).cummax(1).values
        seen_BT = seen_BT.gather(1, F.pad(latest_BT, (1, 0)))
    return seen_BT[:, 1:] != seen_BT[:, :-1], seen_BT[:, -1]


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """Real tokens in order, their past before them, whatever padding held at the far left: `tokens` [B, K - 1 + T, D]."""

    tokens: Tensor
    length: int
    runs: Tensor | None
    """[B, K - 1 + T] int, equal for the tokens of one segment; None: all are."""
    back: Tensor | None
    """[B, T]: where on the line, past the first K - 1, each token of the input stands; None: in place."""

    @staticmethod
    def up(x_BTD: Tensor, past_BKD: Tensor, mask_BT: Tensor | None, starts_BT: Tensor | None) -> Line:
        before, length = past_BKD.shape[1], x_BTD.shape[1]
        tokens = torch.cat((past_BKD, x_BTD), 1)
        runs = None if starts_BT is None else F.pad(starts_BT.long().cumsum(1), (before, 0))
        if mask_BT is None:
            return Line(tokens, length, runs, None)
        order = F.pad(mask_BT.int(), (before, 0), value=1).argsort(dim=1, stable=True)
        rank = mask_BT.long().cumsum(1) - 1
        back = (length - mask_BT.sum(1, keepdim=True) + rank).clamp(min=0)
        return Line(_take(tokens, order), length, None if runs is None else runs.gather(1, order), back)

    def past(self) -> Tensor:
        """The K - 1 tokens that the next call needs; zeros where they belong to an earlier segment."""
        past = self.tokens[:, self.length :]
        if self.runs is None:
            return past
        return past * (self.runs[:, self.length :] == self.runs[:, -1:])[..., None]

    def put_back(self, y_BTD: Tensor) -> Tensor:
        """Results along the line, to the places of the input's tokens; at padding some finite value."""
        return y_BTD if self.back is None else _take(y_BTD, self.back)


def _take(x_BSD: Tensor, index_BT: Tensor) -> Tensor:
    return x_BSD.gather(1, index_BT[..., None].expand(-1, -1, x_BSD.shape[-1]))


def causal_conv(
    x_BTD: Tensor,
    weight_DK: Tensor,
    past_BKD: Tensor,
    *,
    bias_D: Tensor | None = None,
    mask_BT: Tensor | None = None,
    starts_BT: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """(y_t = bias + sum over j < K of weight[:, K-1-j] x_{t-j}, each channel apart; the last K - 1 inputs).

    `past` [B, K - 1, D] holds the inputs before the first token, zeros at the start of a sequence.
    """
    line = Line.up(x_BTD, past_BKD, mask_BT, starts_BT)
    before, length = past_BKD.shape[1], x_BTD.shape[1]
    y_BTD = torch.zeros_like(x_BTD) if bias_D is None else bias_D.expand_as(x_BTD)
    for tap in range(before + 1):
        weight = weight_DK[:, tap]
        if line.runs is not None:
            same = line.runs[:, tap : tap + length] == line.runs[:, before:]
            weight = weight * same[..., None]
        y_BTD = y_BTD + line.tokens[:, tap : tap + length] * weight
    return line.put_back(y_BTD), line.past()


def toeplitz_conv(
    x_BTD: Tensor,
    weight_K: Tensor,
    past_BKD: Tensor,
    *,
    mask_BT: Tensor | None = None,
    starts_BT: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`causal_conv` with one long kernel for all channels, as one product with a banded matrix."""
    line = Line.up(x_BTD, past_BKD, mask_BT, starts_BT)
    before, length = past_BKD.shape[1], x_BTD.shape[1]
    tap_TS = torch.arange(before + length, device=x_BTD.device) - torch.arange(length, device=x_BTD.device)[:, None]
    inside_TS = (tap_TS >= 0) & (tap_TS <= before)
    matrix = torch.where(inside_TS, weight_K[tap_TS.clamp(0, before)], 0)
    if line.runs is not None:
        matrix = matrix * (line.runs[:, before:, None] == line.runs[:, None, :])
    return line.put_back(matrix @ line.tokens), line.past()
