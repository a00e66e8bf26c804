"""Fields on a tree: y_i = Σ_j f(d(i, j)) x_j over all vertices, d the length of the path between them, exactly and in N log² N.

A pivot splits the tree into two halves of about equal size, where a path from one to the other has the length a_i + b_j, what is left
and what is right of the pivot. The matrix f(a_i + b_j) is multiplied fast: of low rank where f is (exponentials, polynomials), by its
table where distances are whole (a Hankel matrix, by FFT where it is large). Each half is then split in turn, down to small blocks.
Choromanski et al., Fast Tree-Field Integrators (NeurIPS 2024).

Forms: "reference" multiplies by the whole matrix; "split" is the default.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Protocol

import torch
from torch import Tensor

from sequary.ops.forms import chosen
from sequary.ops.operator import complete
from sequary.ops.trees import Plan, grid_plan

fft: Any = torch.fft  # whose stubs name no types
DIRECT = 64 * 64
"""Up to so many entries a Hankel matrix is multiplied as it is."""


class Field(Protocol):
    """f of a distance."""

    def at(self, distance: Tensor) -> Tensor: ...

    def across(self, a_N: Tensor, b_M: Tensor, x_MC: Tensor) -> Tensor:
        """[N, C]: Σ_j f(a_i + b_j) x_j."""
        ...


@dataclasses.dataclass(frozen=True)
class Exponential:
    """f(d) = exp(−rate · d): of rank 1."""

    rate: Tensor

    def at(self, distance: Tensor) -> Tensor:
        return (-self.rate * distance).exp()

    def across(self, a_N: Tensor, b_M: Tensor, x_MC: Tensor) -> Tensor:
        return self.at(a_N)[:, None] * (self.at(b_M) @ x_MC)


@dataclasses.dataclass(frozen=True)
class Powers:
    """f(d) = Σ_n c_n d^n, n = 0 … degree: of rank degree + 1, since (a + b)^n is a sum of a^k b^(n−k)."""

    coefficients: Tensor

    def at(self, distance: Tensor) -> Tensor:
        value = torch.zeros_like(distance)
        for c in self.coefficients.flip(0):
            value = value * distance + c
        return value

    def across(self, a_N: Tensor, b_M: Tensor, x_MC: Tensor) -> Tensor:
        degree = len(self.coefficients) - 1
        order = torch.arange(degree + 1, device=x_MC.device)
        moments_KC = (b_M[:, None] ** order).mT @ x_MC
        mixed = [
            sum(self.coefficients[n] * math.comb(n, k) * moments_KC[n - k] for n in range(k, degree + 1))
            for k in range(degree + 1)
        ]
        return (a_N[:, None] ** order) @ torch.stack([m for m in mixed if isinstance(m, Tensor)])


@dataclasses.dataclass(frozen=True)
class Table:
    """Any f of whole distances: `values` [greatest distance + 1]."""

    values: Tensor

    def at(self, distance: Tensor) -> Tensor:
        return self.values[distance.long()]

    def across(self, a_N: Tensor, b_M: Tensor, x_MC: Tensor) -> Tensor:
        a, b = a_N.long(), b_M.long()
        rows, columns = int(a_N.max()) + 1, int(b_M.max()) + 1
        x = x_MC.new_zeros(columns, x_MC.shape[1]).index_add(0, b, x_MC)
        return self.hankel(rows, x)[a]

    def hankel(self, rows: int, x_MC: Tensor) -> Tensor:
        """[rows, C]: Σ_b f(a + b) x_b."""
        columns = x_MC.shape[0]
        if rows * columns <= DIRECT:
            at = torch.arange(rows, device=x_MC.device)[:, None] + torch.arange(columns, device=x_MC.device)
            return self.values[at] @ x_MC
        size = rows + 2 * columns
        spectrum: Tensor = fft.rfft(self.values[: rows + columns - 1], n=size)[:, None] * fft.rfft(
            x_MC.flip(0), n=size, dim=0
        )
        y: Tensor = fft.irfft(spectrum, n=size, dim=0)
        return y[columns - 1 : columns - 1 + rows]


def integrate(plan: Plan, field: Field, x_NC: Tensor) -> Tensor:
    """[N, C]."""
    if chosen("split") == "reference":
        return field.at(plan.distances().to(x_NC)) @ x_NC
    at: list[Tensor] = []
    found: list[Tensor] = []
    for split in plan.splits:
        left, right = split.left.to(x_NC.device), split.right.to(x_NC.device)
        a, b = split.a.to(x_NC), split.b.to(x_NC)
        at += [left, right]
        found += [field.across(a, b, x_NC[right]), field.across(b, a, x_NC[left])]
    blocks, real = plan.blocks.to(x_NC.device), plan.real.to(x_NC)
    weights_GMM = field.at(plan.within.to(x_NC)) * real[:, None, :]
    at.append(blocks.flatten())
    found.append((weights_GMM @ x_NC[blocks] * real[..., None]).flatten(0, 1))
    return torch.zeros_like(x_NC).index_add(0, torch.cat(at), torch.cat(found))


def on_grid(grid: tuple[int, ...], values: Tensor, x_NC: Tensor) -> Tensor:
    """[N, C]: the field with the table `values` on the spanning tree of a grid. An operator, since its tree is no tensor's affair."""
    if chosen("split") == "reference":
        return integrate(grid_plan(grid), Table(values), x_NC)
    return grid_field(values, x_NC, list(grid))


@torch.library.custom_op("sequary::grid_field", mutates_args=())
def grid_field(values: Tensor, x: Tensor, grid: list[int]) -> Tensor:
    return integrate(grid_plan(tuple(grid)), Table(values), x)


def _fake(values: Tensor, x: Tensor, grid: list[int]) -> Tensor:
    return torch.empty_like(x)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    values, x, ctx.grid = inputs
    ctx.save_for_backward(values, x)


def _gradients(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, None]:
    with torch.enable_grad():
        values, x = (t.detach().requires_grad_() for t in ctx.saved_tensors)
        again = integrate(grid_plan(tuple(ctx.grid)), Table(values), x)
        dvalues, dx = torch.autograd.grad(again, (values, x), dy)
    return dvalues, dx, None


complete(grid_field, fake=_fake, save=_save, gradients=_gradients)
