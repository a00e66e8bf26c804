"""Convolutions over the past that know padding, packed rows and earlier calls.

A window of K tokens ends at each token. `Line` lines a row's real tokens up, the K - 1 remembered ones before them, so that
what follows is a plain convolution; `starts` says where a packed row's next segment begins, whose windows reach no further back.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.ops.forms import chosen
from sequary.ops.operator import complete

BLOCK = 128
"""Tokens whose taps are one after the other: what they read and write stays in a core's cache."""


def starts(segments_BT: Tensor | None, mask_BT: Tensor | None, last_B: Tensor) -> tuple[Tensor | None, Tensor]:
    """(True where a real token opens another segment than the real token before it, segment of the last real token [B]).

    `last` is the segment of the last real token of earlier calls. Without segments there are no starts, and `last` stays. What is
    returned of it is no view, as of all that a state keeps: one would hold the whole call in memory.
    """
    if segments_BT is None:
        return None, last_B
    seen_BT = torch.cat((last_B[:, None], segments_BT), 1)
    if mask_BT is not None:
        index_BT = torch.arange(1, mask_BT.shape[1] + 1, device=mask_BT.device)
        latest_BT = torch.where(mask_BT, index_BT, 0).cummax(1).values
        seen_BT = seen_BT.gather(1, F.pad(latest_BT, (1, 0)))
    return seen_BT[:, 1:] != seen_BT[:, :-1], seen_BT[:, -1].clone()


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """Real tokens in order, their past before them, whatever padding held at the far left: `tokens` [B, K - 1 + T, D]."""

    tokens: Tensor
    length: int
    runs: Tensor | None
    """[B, K - 1 + T] int, equal for the tokens of one segment; None: all are."""
    back: Tensor | None
    """[B, T]: where on the line, past the first K - 1, each token of the input stands; None: in place."""
    order: Tensor | None
    """[B, T]: which token of the input stands at each place of the line, past the first K - 1 (any, if none); None: in place."""

    @staticmethod
    def up(x_BTD: Tensor, past_BKD: Tensor, mask_BT: Tensor | None, starts_BT: Tensor | None) -> Line:
        before, length = past_BKD.shape[1], x_BTD.shape[1]
        tokens = torch.cat((past_BKD, x_BTD), 1)
        runs = None if starts_BT is None else F.pad(starts_BT.long().cumsum(1), (before, 0))
        if mask_BT is None:
            return Line(tokens, length, runs, None, None)
        order = F.pad(mask_BT.int(), (before, 0), value=1).argsort(dim=1, stable=True)
        rank = mask_BT.long().cumsum(1) - 1
        back = (length - mask_BT.sum(1, keepdim=True) + rank).clamp(min=0)
        runs = None if runs is None else runs.gather(1, order)
        return Line(_take(tokens, order), length, runs, back, (order[:, before:] - before).clamp(min=0))

    def past(self) -> Tensor:
        """The K - 1 tokens that the next call needs, in memory of their own; zeros where they belong to an earlier segment."""
        past = self.tokens[:, self.length :]
        if self.runs is None:
            return past.clone()
        return past * (self.runs[:, self.length :] == self.runs[:, -1:])[..., None]

    def oldest(self) -> Tensor:
        """[B, T, D]: of each token of the input, the K - 1st before it; zeros where that belongs to an earlier segment."""
        found = self.tokens[:, : self.length]
        if self.runs is not None:
            found = found * (self.runs[:, : self.length] == self.runs[:, -self.length :])[..., None]
        return self.put_back(found)

    def along(self, x_BTD: Tensor) -> Tensor:
        """Of each token of the line past the first K - 1, what x has at its place in the input."""
        return x_BTD if self.order is None else _take(x_BTD, self.order)

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

    `past` [B, K - 1, D] holds the inputs before the first token, zeros at the start of a sequence. Forms: "reference", and "passes"
    (one over the line for each tap, the default where gradients are asked for on a CPU and no row holds several segments).
    """
    line = Line.up(x_BTD, past_BKD, mask_BT, starts_BT)
    before, length = past_BKD.shape[1], x_BTD.shape[1]
    fits = line.runs is None and x_BTD.device.type == "cpu" and x_BTD.dtype == weight_DK.dtype
    if fits and chosen("passes" if torch.is_grad_enabled() else "reference") == "passes":
        return line.put_back(_passes(line.tokens, weight_DK, bias_D)), line.past()
    if not torch.compiler.is_compiling() and length == 1 and line.runs is None:  # a decoder's step: one product
        y_BTD = (line.tokens * weight_DK.mT).sum(1, keepdim=True)
        return line.put_back(y_BTD if bias_D is None else y_BTD + bias_D), line.past()
    y_BTD = torch.zeros_like(x_BTD) if bias_D is None else bias_D.expand_as(x_BTD)
    for tap in range(before + 1):
        weight = weight_DK[:, tap]
        if line.runs is not None:
            same = line.runs[:, tap : tap + length] == line.runs[:, before:]
            weight = weight * same[..., None]
        y_BTD = y_BTD + line.tokens[:, tap : tap + length] * weight
    return line.put_back(y_BTD), line.past()


@torch.library.custom_op("sequary::causal_conv", mutates_args=())
def _passes(tokens: Tensor, weight_DK: Tensor, bias_D: Tensor | None) -> Tensor:
    """[B, T, D] of a line [B, K - 1 + T, D] of one segment."""
    taps = weight_DK.shape[1]
    y = _fake(tokens, weight_DK, bias_D)
    weights = weight_DK.mT.contiguous()
    for start in range(0, y.shape[1], BLOCK):
        here = y[:, start : start + BLOCK]
        here[:] = 0 if bias_D is None else bias_D
        for tap in range(taps):  # rounded as the plain form rounds, which fused products and sums are not
            here += tokens[:, start + tap : start + tap + here.shape[1]] * weights[tap]
    return y


@torch.library.custom_op("sequary::causal_conv_backward", mutates_args=())
def _backward(dy: Tensor, tokens: Tensor, weight_DK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the line, the weights and the bias."""
    taps, weights = weight_DK.shape[1], weight_DK.mT.contiguous()
    dtokens, dweights, dbias = torch.zeros_like(tokens), torch.zeros_like(weights), torch.zeros_like(weights[0])
    for start in range(0, dy.shape[1], BLOCK):
        here = dy[:, start : start + BLOCK]
        for tap in range(taps):
            seen = slice(start + tap, start + tap + here.shape[1])
            dtokens[:, seen].addcmul_(here, weights[tap])
            dweights[tap] += (here * tokens[:, seen]).sum((0, 1))
        dbias += here.sum((0, 1))
    return dtokens, dweights.mT.contiguous(), dbias


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])
    ctx.biased = inputs[2] is not None


def _gradients(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    dtokens, dweight, dbias = _backward(dy.contiguous(), *ctx.saved_tensors)
    return dtokens, dweight, dbias if ctx.biased else None


def _fake(tokens: Tensor, weight_DK: Tensor, bias_D: Tensor | None) -> Tensor:
    return tokens.new_empty(tokens.shape[0], tokens.shape[1] - weight_DK.shape[1] + 1, tokens.shape[2])


def _fake_backward(dy: Tensor, tokens: Tensor, weight_DK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return tokens.new_empty(tokens.shape), weight_DK.new_empty(weight_DK.shape), dy.new_empty(dy.shape[-1:])


complete(_passes, fake=_fake, save=_save, gradients=_gradients)
complete(_backward, fake=_fake_backward)


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
