"""A softmax over all that has been read so far: weights of what is written, and how much what was written before still weighs.

Two forms of the running sum: "reference", a plain loop (any derivative), and "scan", torch's own, whose second derivative is not exact.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.ops.forms import chosen

EMPTY = -1e30
"""The log of a sum of nothing: finite, so that differences and gradients are."""


def normalised(
    k_BTHK: Tensor, z_BHK: Tensor, mask_BT: Tensor | None, begins_BT: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """(exp(k_t − z_t), z_{t-1} − z_t, z after the last token). Padding writes nothing, a new segment starts its own sum.

    Each segment's logits are raised above all earlier ones by so much that these vanish from its sum; in float64, since that
    takes digits.
    """
    k = k_BTHK.to(z_BHK.dtype)
    real = None if mask_BT is None else mask_BT[..., None, None]
    lift = None
    if begins_BT is not None:
        k = k.double()
        with torch.no_grad():
            shown = k if real is None else k.masked_fill(~real, 0)
            low, high = shown.amin(1), torch.maximum(shown.amax(1), z_BHK)
            lift = (high - low + 1000)[:, None] * begins_BT.cumsum(1)[..., None, None]
        k = k + lift
    if real is not None:
        k = k.masked_fill(~real, EMPTY)
    z = running(torch.cat((z_BHK[:, None].to(k.dtype), k), 1))
    before, after = z[:, :-1], z[:, 1:]
    write, g = (k - after).exp(), (before - after).clamp(max=0)
    if real is not None:
        write, g = write.masked_fill(~real, 0), g.masked_fill(~real, 0)
    last = after[:, -1] if lift is None else (after - lift)[:, -1]
    # The last in memory of its own: a state that was a view would hold all of them.
    return write.to(k_BTHK.dtype), g.to(z_BHK.dtype), last.to(z_BHK.dtype, copy=True)


def running(k_BTHK: Tensor) -> Tensor:
    """log Σ_{s<=t} exp k_s."""
    if chosen("scan") != "reference":
        return k_BTHK.logcumsumexp(1)
    sums = [k_BTHK[:, 0]]
    for t in range(1, k_BTHK.shape[1]):
        sums.append(log_add(sums[-1], k_BTHK[:, t]))
    return torch.stack(sums, 1)


def log_add(a: Tensor, b: Tensor) -> Tensor:
    """log(exp a + exp b); torch's logaddexp has no exact second derivative."""
    return torch.maximum(a, b) + (-(a - b).abs()).exp().log1p()
