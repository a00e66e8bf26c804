"""The halving form equals the plain loop, closed gates included, and is an operator that torch can trace."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sequary.ops.forms import form
from sequary.ops.vector_decay import vector_decay
from sequary.ops.vector_decay_chunked import chunked

Inputs = tuple[Tensor, ...]


def inputs(length: int, *, gate: float = 0.1, dtype: torch.dtype = torch.float64) -> Inputs:
    rng = torch.Generator().manual_seed(length)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng, dtype=torch.float64).to(dtype)

    rows, heads, K, V = 2, 3, 5, 4
    q, k = normal(rows, length, heads, K), normal(rows, length, heads, K)
    g = -gate * normal(rows, length, heads, K).exp()
    return q, k, normal(rows, length, heads, V), g, normal(rows, heads, K, V)


def closeness(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max().clamp(min=1))


def results(args: Inputs, name: str) -> list[Tensor]:
    leaves = [x.clone().requires_grad_() for x in args]
    with form(name):
        o, last = vector_decay(*leaves)
        loss = (o * o.detach().cos()).sum() + (last * last.detach().cos()).sum()
        return [o.detach(), last.detach(), *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize("length", [1, 2, 7, 33, 64, 65, 129, 1100])
def test_chunked_equals_the_loop(length: int) -> None:
    for fast, slow in zip(results(inputs(length), "chunked"), results(inputs(length), "reference"), strict=True):
        assert fast.shape == slow.shape
        assert closeness(fast, slow) < 1e-12


@pytest.mark.parametrize("gate", [0.0, 1.0, 30.0, 1e3, 1e5])
def test_gates_that_close(gate: float) -> None:
    args = inputs(70, gate=gate)
    for fast, slow in zip(results(args, "chunked"), results(args, "reference"), strict=True):
        assert torch.isfinite(fast).all()
        assert closeness(fast, slow) < 1e-12


def test_one_closed_gate_harms_no_neighbour() -> None:
    """A shut gate (even minus infinity) inside a chunk of open ones costs no precision, in float32 either."""
    q, k, v, g, S = inputs(70, gate=1e-3, dtype=torch.float32)
    g[:, 20], g[:, 21], g[:, 50] = -1e3, -1e4, -math.inf
    narrow, wide = results((q, k, v, g, S), "chunked"), results(tuple(x.double() for x in (q, k, v, g, S)), "reference")
    assert max(closeness(a.double(), b) for a, b in zip(narrow, wide, strict=True)) < 1e-5


def test_float32_error() -> None:
    narrow = results(inputs(129, dtype=torch.float32), "chunked")
    wide = results(tuple(x.double() for x in inputs(129, dtype=torch.float32)), "reference")
    assert all(a.dtype == torch.float32 for a in narrow)
    assert max(closeness(a.double(), b) for a, b in zip(narrow, wide, strict=True)) < 2e-6


def test_state_carries_over() -> None:
    q, k, v, g, S = inputs(100)
    whole, last = vector_decay(q, k, v, g, S)
    parts: list[Tensor] = []
    for part in (slice(0, 1), slice(1, 77), slice(77, 100)):
        o, S = vector_decay(q[:, part], k[:, part], v[:, part], g[:, part], S)
        parts.append(o)
    assert closeness(torch.cat(parts, 1), whole) < 1e-12
    assert closeness(S, last) < 1e-12


def test_half_precision_keeps_its_type() -> None:
    o, last = vector_decay(*(x.bfloat16() for x in inputs(9)))
    assert o.dtype == last.dtype == torch.bfloat16


def test_reference_has_second_derivatives() -> None:
    args = tuple(x.requires_grad_() for x in inputs(3))

    def run(*xs: Tensor) -> tuple[Tensor, Tensor]:
        with form("reference"):
            return vector_decay(*xs)

    assert torch.autograd.gradgradcheck(run, args)


@pytest.mark.parametrize("length", [5, 65])
def test_operator_is_well_formed(length: int) -> None:
    torch.library.opcheck(chunked, tuple(x.requires_grad_() for x in inputs(length)))


class Decay(torch.nn.Module):
    def forward(self, q: Tensor, k: Tensor, v: Tensor, g: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
        return vector_decay(q, k, v, g, S)


def test_exports_with_a_dynamic_length() -> None:
    T = torch.export.Dim("T", min=2)
    program = torch.export.export(Decay(), inputs(17), dynamic_shapes=(*[{1: T}] * 4, None)).module()
    for length in (2, 17, 64, 65, 200):
        for a, b in zip(program(*inputs(length)), vector_decay(*inputs(length)), strict=True):
            assert torch.equal(a, b)


def test_compiles_in_one_graph() -> None:
    compiled = torch.compile(Decay(), backend="eager", fullgraph=True)
    args = tuple(x.requires_grad_() for x in inputs(40))
    for a, b in zip(compiled(*args), vector_decay(*args), strict=True):
        assert torch.equal(a, b)
