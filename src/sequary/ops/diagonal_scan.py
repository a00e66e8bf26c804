"""Diagonal state-space recurrence with steps of its own at each token (selective scan, S6).

    h_t = exp(dt_t A) h_{t-1} + dt_t u_t B_t        h [B, D, N], diagonal: no entry of h meets another
    y_t = h_t · C_t                                 summed over the N state entries of each channel

B_t and C_t are shared by the D/G channels of each of G groups. Gu and Dao, Mamba (arXiv 2312.00752), section 3.

Two forms: `reference`, a plain loop (any derivative), and `chunked`: time first, the recurrence one `addcmul` a step inside
chunks whose elementwise work is one call into a reused buffer; only the state at the start of each chunk is kept, the backward
recomputes the rest. No logarithm and no quotient of decays: steps of any size are safe.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sequary.ops.forms import chosen

CHUNK = 32


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
    """
    if u_BTD.shape[2] % B_BTGN.shape[2]:
        raise ValueError(f"groups={B_BTGN.shape[2]} does not divide the {u_BTD.shape[2]} channels")
    keep_BT = None if starts_BT is None else (~starts_BT).to(u_BTD.dtype)
    if chosen("chunked") == "reference":
        return _reference(u_BTD, dt_BTD, A_DN, B_BTGN, C_BTGN, h_BDN, keep_BT)
    wide = torch.float64 if u_BTD.dtype == torch.float64 else torch.float32
    floats = (x.to(wide) for x in (u_BTD, dt_BTD, A_DN, B_BTGN, C_BTGN, h_BDN))
    y_BTD, last_BDN, _ = _chunked(*floats, None if keep_BT is None else keep_BT.to(wide))
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
    per_group = u_BTD.shape[2] // B_BTGN.shape[2]
    B_BTDN, C_BTDN = (x.repeat_interleave(per_group, 2) for x in (B_BTGN, C_BTGN))
    ys: list[Tensor] = []
    for t in range(u_BTD.shape[1]):
        decay_BDN = (dt_BTD[:, t, :, None] * A_DN).exp()
        if keep_BT is not None:
            decay_BDN = decay_BDN * keep_BT[:, t, None, None]
        h_BDN = decay_BDN * h_BDN + (dt_BTD[:, t] * u_BTD[:, t])[..., None] * B_BTDN[:, t]
        ys.append((h_BDN * C_BTDN[:, t]).sum(-1))
    return torch.stack(ys, 1), h_BDN


# Inside the operators: time first, groups and their channels F = D/G apart, features last.
# u, dt [T, B, G, 1, F]; A [G, N, F]; B, C [T, B, G, N]; states [B, G, N, F].


def _time_first(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, keep: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None]:
    G = B.shape[2]
    u, dt = (x.unflatten(2, (G, 1, -1)).transpose(0, 1).contiguous() for x in (u, dt))
    A = A.unflatten(0, (G, -1)).mT.contiguous()
    B, C = (x.transpose(0, 1).contiguous() for x in (B, C))
    return u, dt, A, B, C, None if keep is None else keep.T[..., None, None, None]


def _states_in(h: Tensor, G: int) -> Tensor:
    return h.unflatten(1, (G, -1)).mT.contiguous()


def _states_out(h: Tensor) -> Tensor:
    return h.mT.flatten(1, 2).contiguous()


def _decays_and_states(
    dt: Tensor, A: Tensor, dtu: Tensor, B: Tensor, h: Tensor, keep: Tensor | None, decay: Tensor, states: Tensor
) -> None:
    """Fill the buffers `decay` and `states` [c, B, G, N, F] of one chunk that starts from `h`."""
    torch.mul(dt, A, out=decay).exp_()
    if keep is not None:
        decay.mul_(keep)
    torch.mul(dtu, B[..., None], out=states)
    for state, a in zip(states.unbind(0), decay.unbind(0), strict=True):
        h = state.addcmul_(a, h)


@torch.library.custom_op("sequary::diagonal_scan", mutates_args=())
def _chunked(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, h: Tensor, keep: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """(y, last state, states at the chunks' starts and after the last: a number that is never 1, which tracing would fix)."""
    rows, length, width = u.shape
    u, dt, A, B, C, keep = _time_first(u, dt, A, B, C, keep)
    h = _states_in(h, B.shape[2])
    dtu, y = dt * u, torch.empty_like(u)
    begins = h.new_empty(-(-length // CHUNK) + 1, *h.shape)
    decays, statess = (h.new_empty(min(CHUNK, length), *h.shape) for _ in range(2))
    begins[0] = h
    for number, first in enumerate(range(0, length, CHUNK)):
        c = slice(first, min(first + CHUNK, length))
        decay, states = decays[: c.stop - first], statess[: c.stop - first]
        _decays_and_states(dt[c], A, dtu[c], B[c], begins[number], None if keep is None else keep[c], decay, states)
        torch.matmul(C[c, ..., None, :], states, out=y[c])
        begins[number + 1] = states[-1]
    return y.view(length, rows, width).transpose(0, 1).contiguous(), _states_out(begins[-1]), begins


@_chunked.register_fake
def _(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, h: Tensor, keep: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    rows, length, width = u.shape
    groups, states = B.shape[2], A.shape[1]
    begins = u.new_empty((length + CHUNK - 1) // CHUNK + 1, rows, groups, states, width // groups)
    return u.new_empty(rows, length, width), u.new_empty(rows, width, states), begins


@torch.library.custom_op("sequary::diagonal_scan_backward", mutates_args=())
def _chunked_backward(
    dy: Tensor,
    dh: Tensor,
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    begins: Tensor,
    keep: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of u, dt, A, B, C and the first state, chunk by chunk from the last.

    Longer than 40 lines because the buffers of one chunk pass through every step; splitting would only hand them around.
    """
    rows, length, width = u.shape
    u, dt, A, B, C, keep = _time_first(u, dt, A, B, C, keep)
    dy = dy.view(rows, length, B.shape[2], -1).transpose(0, 1).contiguous()
    dh = _states_in(dh, B.shape[2])
    dtu, du, ddt, dA = dt * u, torch.empty_like(u), torch.empty_like(dt), torch.zeros_like(A)
    dB, dC = torch.empty_like(B), torch.empty_like(C)
    decays, statess, grads = (dh.new_empty(min(CHUNK, length), *dh.shape) for _ in range(3))
    for number in range(len(begins) - 2, -1, -1):
        c = slice(number * CHUNK, min((number + 1) * CHUNK, length))
        size = c.stop - c.start
        decay, states, grad = decays[:size], statess[:size], grads[:size]
        _decays_and_states(dt[c], A, dtu[c], B[c], begins[number], None if keep is None else keep[c], decay, states)
        torch.mul(C[c][..., None], dy[c][..., None, :], out=grad)  # of h_t: what y_t asks for …
        grad[-1] += dh
        for t in range(size - 1, 0, -1):  # … and what the next state passes back
            grad[t - 1].addcmul_(decay[t], grad[t])
        torch.matmul(states, dy[c][..., None], out=dC[c][..., None])
        torch.matmul(grad, dtu[c].mT, out=dB[c][..., None])
        torch.matmul(B[c][..., None, :], grad, out=du[c])  # of dt·u, for now
        dh = decay[0] * grad[0]
        grad.mul_(decay)  # of dt·A: grad · decay · state before
        grad[1:].mul_(states[:-1])
        grad[0].mul_(begins[number])
        torch.sum(torch.mul(grad, A, out=decay), 3, keepdim=True, out=ddt[c])
        dA += torch.mul(grad, dt[c], out=decay).sum((0, 1))
    ddt.addcmul_(du, u)
    du.mul_(dt)
    back = [x.view(length, rows, width).transpose(0, 1).contiguous() for x in (du, ddt)]
    dB, dC = (x.transpose(0, 1).contiguous() for x in (dB, dC))
    return back[0], back[1], dA.mT.flatten(0, 1).contiguous(), dB, dC, _states_out(dh)


@_chunked_backward.register_fake
def _(
    dy: Tensor,
    dh: Tensor,
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    begins: Tensor,
    keep: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    u_, dt_, A_, B_, C_, h_ = (x.new_empty(x.shape) for x in (u, dt, A, B, C, dh))
    return u_, dt_, A_, B_, C_, h_


def _save(ctx: Any, inputs: tuple[Tensor | None, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    u, dt, A, B, C, _, keep = inputs
    ctx.save_for_backward(u, dt, A, B, C, output[2], keep)


def _gradients(ctx: Any, dy: Tensor, dh: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    return (*_chunked_backward(dy.contiguous(), dh.contiguous(), *ctx.saved_tensors), None)


_chunked.register_autograd(_gradients, setup_context=_save)
