"""A memory that is trained while it is read: at each token one step down the error over the last c pairs of key and value.

    G_t = Σ_j γ_{t,j} k_{t,j} (M_{t−1}ᵀ k_{t,j} − v_{t,j})ᵀ          the gradient of Σ_j γ |Mᵀ k − v|² / 2 over the window j = 1 … c
    S_t = θ_t S_{t−1} + G_t,  M_t = α_t M_{t−1} − η_t U(S_t),  o_t = M_tᵀ q_t

U(S) = S, or S brought near to the nearest orthogonal matrix by `rounds` Newton-Schulz iterations (Muon). With c = 1, θ = 0 and U(S) = S
it is the gated delta rule; with θ the linear memory of Titans. ATLAS, arXiv 2505.23735, eq. 32 and 33.

Forms: "reference", a loop in torch's graph, and "fused" (the default), an operator of our own, since that graph is as long as the
sequence; it runs the loop again for derivatives.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sequary.ops.forms import chosen
from sequary.ops.operator import complete

QUINTIC = 3.4445, -4.7750, 2.0315
"""Of Muon: singular values from 0.01 to 1 come within about 0.7 … 1.2 in five rounds."""


def orthogonalised(s: Tensor, rounds: int) -> Tensor:
    """[..., F, V] -> the same singular vectors, values near 1; 0 rounds: as it is. A matrix of zeros stays one."""
    if rounds == 0:
        return s
    wide = s.shape[-1] > s.shape[-2]
    tall = s.mT if wide else s
    x = tall.reshape(-1, *tall.shape[-2:])
    x = x / (x.square().sum((-2, -1), keepdim=True) + 1e-12).sqrt()
    a, b, c = QUINTIC
    for _ in range(rounds):
        square = x.mT @ x
        x = x.baddbmm(x, square.baddbmm(square, square, beta=b, alpha=c), beta=a)
    x = x.view(tall.shape)
    return x.mT if wide else x


def omega(
    q_BTHF: Tensor,
    k_BTHCF: Tensor,
    v_BTHCV: Tensor,
    gamma_BTHC: Tensor,
    rates_3BTH: Tensor,
    fresh_BT: Tensor,
    memory_BHFV: Tensor,
    momentum_BHFV: Tensor,
    rounds: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """(o [B, T, H, V], M and S after the last token). `k`, `v`, `gamma`: the window of each token. `rates`: α, η and θ. `fresh`: 0 where
    a token starts from empty memories, else 1."""
    args = (q_BTHF, k_BTHCF, v_BTHCV, gamma_BTHC, rates_3BTH, fresh_BT, memory_BHFV, momentum_BHFV, rounds)
    return _loop(*args) if chosen("fused") == "reference" else fused(*args)


def _loop(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    gamma: Tensor,
    rates: Tensor,
    fresh: Tensor,
    memory: Tensor,
    momentum: Tensor,
    rounds: int,
) -> tuple[Tensor, Tensor, Tensor]:
    outputs: list[Tensor] = []
    alpha, eta, theta = rates[..., None, None]
    # Cut once, since the gradient of a slice is as long as the sequence.
    steps = (x.unbind(1) for x in (q, k, v, gamma, alpha, eta, theta, fresh))
    for q_t, k_t, v_t, gamma_t, alpha_t, eta_t, theta_t, fresh_t in zip(*steps, strict=True):
        kept = fresh_t[:, None, None, None]
        memory, momentum = kept * memory, kept * momentum
        error_BHCV = k_t @ memory - v_t
        momentum = theta_t * momentum + (gamma_t[..., None] * k_t).mT @ error_BHCV
        memory = alpha_t * memory - eta_t * orthogonalised(momentum, rounds)
        outputs.append((q_t[:, :, None] @ memory)[:, :, 0])
    return torch.stack(outputs, 1), memory, momentum


fused = torch.library.custom_op("sequary::omega", _loop, mutates_args=())


def _fake(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    gamma: Tensor,
    rates: Tensor,
    fresh: Tensor,
    memory: Tensor,
    momentum: Tensor,
    rounds: int,
) -> tuple[Tensor, Tensor, Tensor]:
    return q.new_empty(*q.shape[:-1], v.shape[-1]), torch.empty_like(memory), torch.empty_like(momentum)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, ctx.rounds = inputs
    ctx.save_for_backward(*tensors)


def _gradients(ctx: Any, do: Tensor, dmemory: Tensor, dmomentum: Tensor) -> tuple[Any, ...]:
    with torch.enable_grad():
        leaves: list[Tensor] = [t.detach().requires_grad_() for t in ctx.saved_tensors]
        q, k, v, gamma, rates, fresh, memory, momentum = leaves
        again = _loop(q, k, v, gamma, rates, fresh, memory, momentum, ctx.rounds)
        found = torch.autograd.grad(again, leaves, (do, dmemory, dmomentum), materialize_grads=True)
    return *found, None


complete(fused, fake=_fake, save=_save, gradients=_gradients)
