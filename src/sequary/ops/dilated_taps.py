"""The inputs `dilation` tokens apart that a causal dilated convolution sums over, tap by tap."""

from __future__ import annotations

from torch import Tensor

from sequary.ops.causal_conv import Line


def dilated_taps(
    x_BTD: Tensor,
    past_BSD: Tensor,
    *,
    dilation: int,
    mask_BT: Tensor | None = None,
    starts_BT: Tensor | None = None,
) -> tuple[list[Tensor], Tensor]:
    """(x_{t − K d + j d} [B, T, D] for j = 0 … K, oldest first, zeros before the start of its sequence; the last S = K d inputs).

    `past` [B, S, D] holds the inputs before the first token, zeros at the start of a sequence; `starts` is that of `causal_conv.starts`.
    """
    before, length = past_BSD.shape[1], x_BTD.shape[1]
    if before % dilation:
        raise ValueError(f"a past of {before} tokens is no multiple of dilation={dilation}")
    line = Line.up(x_BTD, past_BSD, mask_BT, starts_BT)
    found: list[Tensor] = []
    for first in range(0, before + 1, dilation):
        near_BTD = line.tokens[:, first : first + length]
        if line.runs is not None:
            near_BTD = near_BTD * (line.runs[:, first : first + length] == line.runs[:, before:])[..., None]
        found.append(line.put_back(near_BTD))
    return found, line.past()
