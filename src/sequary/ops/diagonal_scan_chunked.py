"""The chunked form of `diagonal_scan`, as an operator with a backward written by hand.

Inside: time first, groups and their channels F = D/G apart, features last: u, dt [T, B, G, 1, F]; a [G, N, F];
b, c [T, B, G, N]; states [B, G, N, F]. The elementwise work of a chunk is one call into a reused buffer, the recurrence one
`addcmul` a step, the read-out one batched product. Only the state at the start of each chunk is kept; the backward recomputes
the rest. No logarithm and no quotient of decays: steps of any size are safe.
"""

from __future__ import annotations

from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from sequary.ops.operator import asked, complete

CHUNK = 32


def _time_first(
    u: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, keep: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None]:
    groups = b.shape[2]
    u, dt = (rearrange(x, "B T (G F) -> T B G 1 F", G=groups).contiguous() for x in (u, dt))
    a = rearrange(a, "(G F) N -> G N F", G=groups).contiguous()
    b, c = (x.transpose(0, 1).contiguous() for x in (b, c))
    return u, dt, a, b, c, None if keep is None else keep.T[..., None, None, None]


def _states_in(h: Tensor, groups: int) -> Tensor:
    return rearrange(h, "B (G F) N -> B G N F", G=groups).contiguous()


def _states_out(h: Tensor) -> Tensor:
    return rearrange(h, "B G N F -> B (G F) N").contiguous()


def _rows_first(x: Tensor) -> Tensor:
    return rearrange(x, "T B G 1 F -> B T (G F)").contiguous()


def _decays_and_states(
    dt: Tensor, a: Tensor, dtu: Tensor, b: Tensor, h: Tensor, keep: Tensor | None, decay: Tensor, states: Tensor
) -> None:
    """Fill the buffers `decay` and `states` [chunk, B, groups, N, F] of one chunk that starts from `h`."""
    torch.mul(dt, a, out=decay).exp_()
    if keep is not None:
        decay.mul_(keep)
    torch.mul(dtu, b[..., None], out=states)
    for state, by in zip(states.unbind(0), decay.unbind(0), strict=True):
        h = state.addcmul_(by, h)


@torch.library.custom_op("sequary::diagonal_scan", mutates_args=())
def chunked(
    u: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, h: Tensor, keep: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """(y, last state, states at the chunks' starts and after the last: a number that is never 1, which tracing would fix)."""
    length = u.shape[1]
    u, dt, a, b, c, keep = _time_first(u, dt, a, b, c, keep)
    h = _states_in(h, b.shape[2])
    dtu, y = dt * u, torch.empty_like(u)
    begins = h.new_empty(-(-length // CHUNK) + 1, *h.shape)
    decays, statess = (h.new_empty(min(CHUNK, length), *h.shape) for _ in range(2))
    begins[0] = h
    for number, first in enumerate(range(0, length, CHUNK)):
        now = slice(first, min(first + CHUNK, length))
        decay, states = decays[: now.stop - first], statess[: now.stop - first]
        kept = None if keep is None else keep[now]
        _decays_and_states(dt[now], a, dtu[now], b[now], begins[number], kept, decay, states)
        torch.matmul(c[now, ..., None, :], states, out=y[now])
        begins[number + 1] = states[-1]
    return _rows_first(y), _states_out(begins[-1].clone()), begins


def _fake(
    u: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, h: Tensor, keep: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    rows, length, width = u.shape
    groups, states = b.shape[2], a.shape[1]
    begins = u.new_empty((length + CHUNK - 1) // CHUNK + 1, rows, groups, states, width // groups)
    return u.new_empty(rows, length, width), u.new_empty(rows, width, states), begins


@torch.library.custom_op("sequary::diagonal_scan_backward", mutates_args=())
def _chunked_backward(
    dy: Tensor,
    dh: Tensor,
    u: Tensor,
    dt: Tensor,
    a: Tensor,
    b: Tensor,
    c: Tensor,
    begins: Tensor,
    keep: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of u, dt, a, b, c and the first state, chunk by chunk from the last.

    Longer than 40 lines because the buffers of one chunk pass through every step; splitting would only hand them around.
    """
    length = u.shape[1]
    u, dt, a, b, c, keep = _time_first(u, dt, a, b, c, keep)
    dy = rearrange(dy, "B T (G F) -> T B G F", G=b.shape[2]).contiguous()
    dh = _states_in(dh, b.shape[2])
    dtu, du, ddt, da = dt * u, torch.empty_like(u), torch.empty_like(dt), torch.zeros_like(a)
    db, dc = torch.empty_like(b), torch.empty_like(c)
    decays, statess, grads = (dh.new_empty(min(CHUNK, length), *dh.shape) for _ in range(3))
    for number in range(len(begins) - 2, -1, -1):
        now = slice(number * CHUNK, min((number + 1) * CHUNK, length))
        size = now.stop - now.start
        decay, states, grad = decays[:size], statess[:size], grads[:size]
        kept = None if keep is None else keep[now]
        _decays_and_states(dt[now], a, dtu[now], b[now], begins[number], kept, decay, states)
        torch.mul(c[now][..., None], dy[now][..., None, :], out=grad)  # of h_t: what y_t asks for …
        grad[-1] += dh
        for t in range(size - 1, 0, -1):  # … and what the next state passes back
            grad[t - 1].addcmul_(decay[t], grad[t])
        torch.matmul(states, dy[now][..., None], out=dc[now][..., None])
        torch.matmul(grad, dtu[now].mT, out=db[now][..., None])
        torch.matmul(b[now][..., None, :], grad, out=du[now])  # of dt·u, for now
        dh = decay[0] * grad[0]
        grad.mul_(decay)  # of dt·a: grad · decay · state before
        grad[1:].mul_(states[:-1])
        grad[0].mul_(begins[number])
        torch.sum(torch.mul(grad, a, out=decay), 3, keepdim=True, out=ddt[now])
        da += torch.mul(grad, dt[now], out=decay).sum((0, 1))
    ddt.addcmul_(du, u)
    du.mul_(dt)
    db, dc = (x.transpose(0, 1).contiguous() for x in (db, dc))
    da = rearrange(da, "G N F -> (G F) N").contiguous()
    return _rows_first(du), _rows_first(ddt), da, db, dc, _states_out(dh)


def _fake_backward(
    dy: Tensor,
    dh: Tensor,
    u: Tensor,
    dt: Tensor,
    a: Tensor,
    b: Tensor,
    c: Tensor,
    begins: Tensor,
    keep: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    du, ddt, da, db, dc, first = (x.new_empty(x.shape) for x in (u, dt, a, b, c, dh))
    return du, ddt, da, db, dc, first


def _save(ctx: Any, inputs: tuple[Tensor | None, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    u, dt, a, b, c, _, keep = inputs
    ctx.save_for_backward(u, dt, a, b, c, output[2], keep)
    ctx.set_materialize_grads(False)
    ctx.state = output[1].shape


def _gradients(ctx: Any, dy: Tensor | None, dh: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    u, *others = ctx.saved_tensors
    return (*_chunked_backward(asked(dy, u), asked(dh, u, *ctx.state), u, *others), None)


complete(chunked, fake=_fake, save=_save, gradients=_gradients)
complete(_chunked_backward, fake=_fake_backward)
