"""A transformer layer whose keys and values come from its own outputs: token t reads what the layer said at 0 … t − 1.

    q_t = W_q n(x_t);  o_t = softmax attention of q_t to (k_s, v_s), s < t, and to (W_k n(x_t), W_v n(x_t)) for t itself
    a_t = x_t + W_o o_t;  y_t = a_t + W_2 GELU(W_1 n'(a_t));  k_t = W_k n(y_t), v_t = W_v n(y_t)

n, n' RMS norms; keys and queries turned by rotary positions. The Recurrent Transformer (arXiv 2604.21215).

Forms: "reference", a loop that reads all keys at each token, and "tiled" (the default): after token n, the 2^j keys before it are read
by the 2^j queries behind it, 2^j the greatest power of two that divides n, into sums of an online softmax. Each pair meets once, and
keys are read T log T times in all instead of T². An operator of our own, since its graph would be as long as the sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.ops.forms import chosen
from sequary.ops.operator import complete
from sequary.ops.rotary import rotate

EPS = 1e-6
# The weights, in this order: norm, q, k, v, o, norm of the feed-forward, up, down.


def recurrent_layer(
    x_BTD: Tensor,
    weights: Sequence[Tensor],
    k_BHSK: Tensor,
    v_BHSK: Tensor,
    sees_BTS: Tensor,
    at_BT: Tensor,
    base: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """(y [B, T, D], keys and values of the T tokens [B, H, T, K]). `k`, `v`: of S earlier tokens; `sees` [B, T, S + T] which of these
    and of the new ones before it a token reads."""
    args = (x_BTD, list(weights), k_BHSK, v_BHSK, sees_BTS, at_BT, base)
    return _loop(*args) if chosen("tiled") == "reference" else tiled(*args)


class _Layer:
    """What all forms share: projections, and a token's output from what it read."""

    def __init__(self, x: Tensor, weights: list[Tensor], heads: int, at: Tensor, base: float) -> None:
        self.n, self.wq, self.wk, self.wv, self.wo, self.m, self.up, self.down = weights
        self.x, self.heads, self.at, self.base = x, heads, at, base
        own = self.normed(x, self.n)
        self.q = self.turned(own @ self.wq.mT, at) / (x.shape[-1] // heads) ** 0.5
        self.k, self.v = self.told(own, at)

    def normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], weight, EPS)

    def turned(self, x_BTD: Tensor, at_BT: Tensor) -> Tensor:
        return rotate(self.split(x_BTD), at_BT, base=self.base)

    def split(self, x_BTD: Tensor) -> Tensor:
        return x_BTD.view(*x_BTD.shape[:2], self.heads, x_BTD.shape[2] // self.heads).transpose(1, 2)

    def told(self, normed_BTD: Tensor, at_BT: Tensor) -> tuple[Tensor, Tensor]:
        return self.turned(normed_BTD @ self.wk.mT, at_BT), self.split(normed_BTD @ self.wv.mT)

    def token(self, t: int, o_BHK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(y_t, k_t, v_t) from what token t read."""
        a = self.x[:, t] + o_BHK.flatten(1) @ self.wo.mT
        y = a + F.gelu(self.normed(a, self.m) @ self.up.mT) @ self.down.mT
        k, v = self.told(self.normed(y, self.n)[:, None], self.at[:, t, None])
        return y, k, v


def _loop(
    x: Tensor, weights: list[Tensor], k: Tensor, v: Tensor, sees: Tensor, at: Tensor, base: float
) -> tuple[Tensor, Tensor, Tensor]:
    layer, old = _Layer(x, weights, k.shape[1], at, base), k.shape[2]
    outputs: list[Tensor] = []
    for t in range(x.shape[1]):
        q, now = layer.q[:, :, t, None], slice(t, t + 1)
        scores = torch.cat((q @ k.mT, q @ layer.k[:, :, now].mT), -1)
        seen = F.pad(sees[:, None, t, None, : old + t], (0, 1), value=True)
        w = scores.masked_fill(~seen, torch.finfo(scores.dtype).min).softmax(-1)
        o = w @ torch.cat((v, layer.v[:, :, now]), 2)
        y, k_t, v_t = layer.token(t, o[:, :, 0])
        outputs.append(y)
        k, v = torch.cat((k, k_t), 2), torch.cat((v, v_t), 2)
    return torch.stack(outputs, 1), k[:, :, old:].contiguous(), v[:, :, old:].contiguous()


class _Sums:
    """An online softmax for each query: the greatest score, Σ exp(score − greatest) and the same of the values."""

    def __init__(self, score_BHT: Tensor, v_BHTK: Tensor) -> None:
        self.top, self.mass, self.sum = score_BHT.clone(), torch.ones_like(score_BHT), v_BHTK.clone()

    def read(self, rows: slice, q: Tensor, k: Tensor, v: Tensor, sees: Tensor) -> None:
        scores = (q[:, :, rows] @ k.mT).masked_fill(~sees[:, None], torch.finfo(q.dtype).min)
        top = torch.maximum(self.top[:, :, rows], scores.amax(-1))
        w = (scores - top[..., None]).exp() * sees[:, None]
        kept = (self.top[:, :, rows] - top).exp()
        self.top[:, :, rows] = top
        self.mass[:, :, rows] = self.mass[:, :, rows] * kept + w.sum(-1)
        self.sum[:, :, rows] = self.sum[:, :, rows] * kept[..., None] + w @ v


@torch.library.custom_op("sequary::recurrent_layer", mutates_args=())
def tiled(
    x: Tensor, weights: list[Tensor], k: Tensor, v: Tensor, sees: Tensor, at: Tensor, base: float
) -> tuple[Tensor, Tensor, Tensor]:
    layer, old, length = _Layer(x, weights, k.shape[1], at, base), k.shape[2], x.shape[1]
    sums = _Sums((layer.q * layer.k).sum(-1), layer.v)
    if old:
        sums.read(slice(0, length), layer.q, k, v, sees[:, :, :old])
    y, keys, values = torch.empty_like(x), torch.empty_like(layer.k), torch.empty_like(layer.v)
    for t in range(length):
        o = sums.sum[:, :, t] / sums.mass[:, :, t, None]
        y[:, t], keys[:, :, t : t + 1], values[:, :, t : t + 1] = layer.token(t, o)
        n = t + 1
        size = n & -n
        block, rows = slice(n - size, n), slice(n, min(n + size, length))
        if n < length:
            seen = sees[:, rows, old + n - size : old + n]
            sums.read(rows, layer.q, keys[:, :, block], values[:, :, block], seen)
    return y, keys, values


def _fake(
    x: Tensor, weights: list[Tensor], k: Tensor, v: Tensor, sees: Tensor, at: Tensor, base: float
) -> tuple[Tensor, Tensor, Tensor]:
    rows, heads, _, width = k.shape
    keys, values = (x.new_empty(rows, heads, x.shape[1], width) for _ in range(2))
    return torch.empty_like(x), keys, values


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    x, weights, k, v, sees, at, base = inputs
    ctx.save_for_backward(x, k, v, sees, at, *weights)
    ctx.base = base


def _gradients(ctx: Any, dy: Tensor, dk: Tensor, dv: Tensor) -> tuple[Any, ...]:
    """From the loop, run again: no operator of its own, since derivatives are taken inside."""
    x, k, v, sees, at, *weights = ctx.saved_tensors
    with torch.enable_grad():
        leaves: list[Tensor] = [t.detach().requires_grad_() for t in (x, k, v, *weights)]
        again = _loop(leaves[0], leaves[3:], leaves[1], leaves[2], sees, at, ctx.base)
        dx, dk, dv, *rest = torch.autograd.grad(again, leaves, (dy, dk, dv), materialize_grads=True)
    return dx, rest, dk, dv, None, None, None


complete(tiled, fake=_fake, save=_save, gradients=_gradients)
