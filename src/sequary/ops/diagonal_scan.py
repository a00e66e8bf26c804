"""Diagonal state-space recurrence with steps of its own at each token (selective scan, S6).

    h_t = exp(dt_t A) h_{t-1} + dt_t u_t B_t        h [B, D, N], diagonal: no entry of h meets another
    y_t = h_t · C_t                                 summed over the N state entries of each channel

B_t and C_t are shared by the D/G channels of each of G groups. Gu and Dao, Mamba (arXiv 2312.00752), section 3.

Two forms: `reference`, a plain loop (any derivative), and `chunked` (diagonal_scan_chunked.py).
"""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.ops.diagonal_scan_chunked import chunked
from sequary.ops.forms import chosen, recurrent


def diagonal_scan(
    u_BTD: Tensor,
    dt_BTD: Tensor,
    A_DN: Tensor,
    B_BTGN: Tensor,
    C_BTGN: Tensor,
    h_BDN: Tensor,
    starts_BT: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """(y [B, T, D], state after the last token [B, D, N]). T >= 1; dt = 0 passes the state on unchanged.

    Where `starts` (bool) is True the state before that token is dropped. Half-precision inputs are computed in float32.
    T up to 2 without gradients, a decoder's step, takes the loop.
    """
    if u_BTD.shape[2] % B_BTGN.shape[2]:
        raise ValueError(f"groups={B_BTGN.shape[2]} does not divide the {u_BTD.shape[2]} channels")
    wide = torch.float64 if u_BTD.dtype == torch.float64 else torch.float32
    keep_BT = None if starts_BT is None else (~starts_BT).to(wide)
    u, dt, A, B, C, h = (x.to(wide) for x in (u_BTD, dt_BTD, A_DN, B_BTGN, C_BTGN, h_BDN))
    if chosen(recurrent(u.shape[1])) == "reference":
        y_BTD, last_BDN = _reference(u, dt, A, B, C, h, keep_BT)
    else:
        y_BTD, last_BDN, _ = chunked(u, dt, A, B, C, h, keep_BT)
    return y_BTD.to(u_BTD.dtype), last_BDN.to(h_BDN.dtype)


def scan_matrix(
    dt_BTD: Tensor, A_DN: Tensor, B_BTGN: Tensor, C_BTGN: Tensor, starts_BT: Tensor | None = None
) -> Tensor:
    """The matrix [B, D, T, T] that the scan from an empty state applies to u: y = matrix · u in each channel.

    matrix[t, s] = sum_n C_t,n exp(A_n (dt_{s+1} + … + dt_t)) dt_s B_s,n for s <= t, 0 above the diagonal.
    """
    per_group = A_DN.shape[0] // B_BTGN.shape[2]
    B_BDTN, C_BDTN = (x.repeat_interleave(per_group, 2).transpose(1, 2) for x in (B_BTGN, C_BTGN))
    dt_BDT = dt_BTD.transpose(1, 2)
    time_BDT = dt_BDT.cumsum(-1)
    length = time_BDT.shape[-1]
    sees = torch.ones(length, length, dtype=torch.bool, device=dt_BTD.device).tril()
    if starts_BT is not None:
        run_BT = starts_BT.cumsum(1)
        sees = sees & (run_BT[:, None, :, None] == run_BT[:, None, None, :])
    since_BDTT = torch.where(sees, time_BDT[..., :, None] - time_BDT[..., None, :], 0)
    matrix = torch.zeros_like(since_BDTT)
    for n in range(A_DN.shape[1]):  # one state entry at a time: N times less memory
        decay = (since_BDTT * A_DN[:, n, None, None]).exp()
        matrix = matrix + C_BDTN[..., :, None, n] * decay * (dt_BDT * B_BDTN[..., n])[..., None, :]
    return torch.where(sees, matrix, 0)


def _reference(
    u_BTD: Tensor, dt_BTD: Tensor, A_DN: Tensor, B_BTGN: Tensor, C_BTGN: Tensor, h_BDN: Tensor, keep_BT: Tensor | None
) -> tuple[Tensor, Tensor]:
    rows, length, channels = u_BTD.shape
    split = B_BTGN.shape[2], channels // B_BTGN.shape[2]
    u, dt = (x.reshape(rows, length, *split, 1) for x in (u_BTD, dt_BTD))
    B, C = B_BTGN[..., None, :], C_BTGN[..., None, :]
    A, hidden = A_DN.reshape(*split, -1), h_BDN.reshape(rows, *split, -1)
    ys: list[Tensor] = []
    for t in range(length):
        decay = (dt[:, t] * A).exp()
        if keep_BT is not None:
            decay = decay * keep_BT[:, t, None, None, None]
        hidden = decay * hidden + dt[:, t] * u[:, t] * B[:, t]
        ys.append((hidden * C[:, t]).sum(-1))
    return torch.stack(ys, 1).reshape(u_BTD.shape), hidden.reshape(h_BDN.shape)
