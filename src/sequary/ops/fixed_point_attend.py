"""Attention that chooses by its own output until nothing changes: Z = softmax(Q(x + Z) K(x + Z)ᵀ / √K) V, V of the input alone.

Q(h) = h W_qᵀ, K(h) = h W_kᵀ, heads side by side; the first round, from Z = 0, is plain attention. Tokens that see each other stop
together, once none of them moves by more than `eps` of its own size, or after `most` rounds; so neither other rows nor padding nor other
segments change when.
"""

from __future__ import annotations

from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from sequary.ops.attend import weights
from sequary.ops.forms import chosen
from sequary.ops.operator import complete

BOUND = 1e3
"""A term of the gradient's series above it, relative to the first, shows that it has no limit: the sum so far is kept."""


def fixed_point_attend(
    x_BTD: Tensor, wq: Tensor, wk: Tensor, v_BHTV: Tensor, sees_BTT: Tensor, eps: float, most: int
) -> tuple[Tensor, Tensor]:
    """(Z [B, T, D], rounds [B, T]). Forms: "reference" (autograd through all rounds), "implicit" (below, the default)."""
    args = (x_BTD, wq, wk, v_BHTV, sees_BTT, eps, most)
    return _rounds(*args) if chosen("implicit") == "reference" else implicit(*args)


def once(z_BTD: Tensor, x_BTD: Tensor, wq: Tensor, wk: Tensor, v_BHTV: Tensor, sees_BTT: Tensor) -> Tensor:
    q, k = (rearrange((x_BTD + z_BTD) @ w.mT, "B T (H K) -> B H T K", H=v_BHTV.shape[1]) for w in (wq, wk))
    return rearrange(weights(q, k, sees=sees_BTT) @ v_BHTV, "B H T V -> B T (H V)")


def size(z_BTD: Tensor) -> Tensor:
    """[B, T]: of each token, without a gradient."""
    return z_BTD.detach().square().sum(-1).sqrt()


def _rounds(x: Tensor, wq: Tensor, wk: Tensor, v: Tensor, sees: Tensor, eps: float, most: int) -> tuple[Tensor, Tensor]:
    z, count = torch.zeros_like(x), torch.zeros(x.shape[:2], dtype=torch.long, device=x.device)
    running = torch.ones_like(count, dtype=torch.bool)
    for _ in range(most):
        new = once(z, x, wq, wk, v, sees)
        moved = size(new - z) > eps * size(new)
        z, count = torch.where(running[..., None], new, z), count + running
        running = running & (sees & moved[:, None, :]).any(-1)
        if not running.any():
            break
    return z, count


@torch.library.custom_op("sequary::fixed_point_attend", mutates_args=())
def implicit(
    x: Tensor, wq: Tensor, wk: Tensor, v: Tensor, sees: Tensor, eps: float, most: int
) -> tuple[Tensor, Tensor]:
    """Differentiated at the fixed point, whatever the way to it: dL = gᵀ (I − J)⁻¹ ∂f, J = ∂f/∂Z. Nothing of the rounds is kept."""
    z, count = _rounds(x, wq, wk, v, sees, eps, most)
    return z.clone(), count


def _fake(x: Tensor, wq: Tensor, wk: Tensor, v: Tensor, sees: Tensor, eps: float, most: int) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), torch.empty(x.shape[:2], dtype=torch.long, device=x.device)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, wq, wk, v, sees, ctx.eps, ctx.most = inputs
    ctx.save_for_backward(output[0], x, wq, wk, v, sees)


def _gradients(ctx: Any, dz: Tensor, dcount: Tensor | None) -> tuple[Any, ...]:
    """gᵀ (I − J)⁻¹ = gᵀ Σ_i J^i, as many terms as matter."""
    *given, sees = ctx.saved_tensors
    with torch.enable_grad():
        z, x, wq, wk, v = (t.detach().requires_grad_() for t in given)
        again = once(z, x, wq, wk, v, sees)
        total, term = dz, dz
        for _ in range(ctx.most):
            term = pulled(again, z, term)
            if not bool(size(term.flatten()) <= BOUND * size(dz.flatten())):
                break
            total = total + term
            if bool(size(term.flatten()) <= ctx.eps * size(total.flatten())):
                break
        dx, dwq, dwk, dv = torch.autograd.grad(again, (x, wq, wk, v), total)
    return dx, dwq, dwk, dv, None, None, None


def pulled(y: Tensor, at: Tensor, g: Tensor) -> Tensor:
    """gᵀ ∂y/∂at."""
    found: Any = torch.autograd.grad(y, at, g, retain_graph=True)
    return found[0]


complete(implicit, fake=_fake, save=_save, gradients=_gradients)
