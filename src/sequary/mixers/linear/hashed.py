"""Binary codes as features: similarity by Hamming distance, so that keys and values are summed by additions alone.

Liu et al., EcoFormer (arXiv 2209.09004), sections 4.1 and 4.2; the hash functions are Kernel-based Supervised Hashing's (Liu et al., 2012).
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.mixers.linear.feature_maps import FeatureMap


class Sign(torch.autograd.Function):
    """1 where x > 0, else −1; backwards as the identity where |x| < 1 (straight through)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.where(x > 0, 1.0, -1.0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad[0] * (x.abs() < 1)


sign = cast(Any, Sign).apply  # whose stub names no types


class Hashed(FeatureMap):
    """φ(x) = [h(x), √(b + 1)], h(x) = sign(A (κ(x̂) − μ)) of b = `bits` entries, so that weights q·k = b − 2 Hamming + b + 1 are at least 1.

    κ_j(x̂) = exp(−|x̂ − a_j|² / (2 σ)), x̂ = x / |x|, over `anchors` support tokens a_j. Anchors, σ, μ and A are not learnt by gradients:
    the first pass of training, and every `refresh`-th after it (0: none), takes anchors from its tokens, and fits A so that codes
    agree for the `similar` keys that each query is most like, and disagree for as many that it is least like.
    """

    smooth = False
    a: Tensor
    anchor: Tensor
    center: Tensor
    spread: Tensor
    passes: Tensor

    def __init__(
        self, dim: int, *, heads: int = 1, bits: int = 16, anchors: int = 24, similar: int = 10, refresh: int = 0
    ) -> None:
        super().__init__(dim, heads=heads)
        self.bits, self.similar, self.refresh, self.width = bits, similar, refresh, bits + 1
        self.register_buffer("a", torch.randn(heads, bits, anchors))
        self.register_buffer("anchor", F.normalize(torch.randn(heads, anchors, dim), dim=-1))
        self.register_buffer("center", torch.full((heads, anchors), math.exp(-0.5)))
        self.register_buffer("spread", torch.full((heads,), 2.0))
        self.register_buffer("passes", torch.zeros((), dtype=torch.long))

    def queries(self, q_BTHK: Tensor) -> Tensor:
        codes: Tensor = sign(torch.einsum("bthm,hnm->bthn", self.kernel(q_BTHK), self.a))
        return F.pad(codes, (0, 1), value=math.sqrt(self.bits + 1))

    def distance(self, x_BTHK: Tensor) -> Tensor:
        """[B, T, H, M]: |x̂ − a|²."""
        product = torch.einsum("bthk,hmk->bthm", F.normalize(x_BTHK, dim=-1), self.anchor)
        return 1 + self.anchor.square().sum(-1) - 2 * product

    def kernel(self, x_BTHK: Tensor) -> Tensor:
        return (-self.distance(x_BTHK) / (2 * self.spread[:, None])).exp() - self.center

    @torch.no_grad()
    def watch(self, q_BTHK: Tensor, k_BTHK: Tensor, mask_BT: Tensor | None) -> None:
        passes = int(self.passes)
        if passes == 0 or (self.refresh and passes % self.refresh == 0):
            real = torch.ones(q_BTHK.shape[:2], device=q_BTHK.device) if mask_BT is None else mask_BT.to(q_BTHK.dtype)
            if real.any():
                self.learn(F.normalize(q_BTHK, dim=-1), F.normalize(k_BTHK, dim=-1), real)
        self.passes += 1

    def learn(self, q_BTHK: Tensor, k_BTHK: Tensor, real_BT: Tensor) -> None:
        """Bit after bit: each fits what the ones before it left of the similarities."""
        some = torch.multinomial(real_BT.flatten(), self.anchor.shape[1], replacement=True)
        self.anchor.copy_(k_BTHK.flatten(0, 1)[some].transpose(0, 1))
        weight = real_BT[..., None, None]
        near = self.distance(k_BTHK) * weight
        self.spread.copy_((near.mean(-1, keepdim=True).sum((0, 1)) / weight.sum())[:, 0].clamp(min=1e-3))
        self.center.zero_()
        self.center.copy_((self.kernel(k_BTHK) * weight).sum((0, 1)) / weight.sum())
        target_BHTS = similarities(q_BTHK, k_BTHK, real_BT, self.similar) * self.bits
        q, k = (self.kernel(x) * weight for x in (q_BTHK, k_BTHK))
        for bit in range(self.bits):
            self.a[:, bit] = fitted(q, k, target_BHTS, self.a[:, bit])
            y, z = (torch.where(soft(x, self.a[:, bit]) > 0, 1.0, -1.0).to(x.dtype) * weight[..., 0] for x in (q, k))
            target_BHTS -= torch.einsum("bth,bsh->bhts", y, z)


def similarities(q_BTHK: Tensor, k_BTHK: Tensor, real_BT: Tensor, count: int) -> Tensor:
    """[B, H, T, S]: 1 for the `count` keys that a query is most like, −1 for those that it is least like, 0 for others and padding."""
    scores = torch.einsum("bthk,bshk->bhts", q_BTHK, k_BTHK)
    pairs = (real_BT[:, :, None] * real_BT[:, None, :])[:, None] > 0
    found, count = torch.zeros_like(scores), min(count, scores.shape[-1] // 2)
    for sign in (1.0, -1.0):
        best = (sign * scores).masked_fill(~pairs, -math.inf).topk(count, -1).indices
        found.scatter_(-1, best, sign)
    return found * pairs


def soft(x_BTHM: Tensor, a_HM: Tensor) -> Tensor:
    """[B, T, H]: tanh of half the sum, the smooth sign that is fitted."""
    return ((x_BTHM * a_HM).sum(-1) / 2).tanh()


@torch.enable_grad()
def fitted(
    q_BTHM: Tensor, k_BTHM: Tensor, target_BHTS: Tensor, a_HM: Tensor, *, steps: int = 100, rate: float = 5e-4
) -> Tensor:
    """`a` after some steps of descent with momentum on −Σ target y_t z_s, if its signs then fit better than before."""
    q, k, target = q_BTHM.detach(), k_BTHM.detach(), target_BHTS.detach()
    a, velocity = a_HM.detach().clone(), torch.zeros_like(a_HM)
    scale = target.shape[-1] * target[:, :, 0, 0].numel()

    def loss(y: Tensor, z: Tensor) -> Tensor:
        return -torch.einsum("bth,bhts,bsh->", y, target, z) / scale

    for _ in range(steps):  # Nesterov's, as in the authors' code, which takes the mean over rows and heads
        a.requires_grad_()
        (slope,) = torch.autograd.grad(loss(soft(q, a), soft(k, a)), a)
        velocity = 0.9 * velocity + slope
        a = (a - rate * (slope + 0.9 * velocity)).detach()
    before, after = (loss(soft(q, x).sign(), soft(k, x).sign()) for x in (a_HM, a))
    return a if after < before else a_HM
