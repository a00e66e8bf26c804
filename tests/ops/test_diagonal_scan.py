"""The chunked scan equals the plain loop, hard inputs included, and is an operator that torch can trace."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sequary.ops.diagonal_scan import diagonal_scan, scan_matrix
from sequary.ops.diagonal_scan_chunked import chunked
from sequary.ops.forms import form

Inputs = tuple[Tensor, ...]


def inputs(length: int, *, groups: int = 1, step: float = 0.1, dtype: torch.dtype = torch.float64) -> Inputs:
    rng = torch.Generator().manual_seed(length + groups)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng, dtype=torch.float64).to(dtype)

    rows, width, states = 2, 6, 4
    dt = step * normal(rows, length, width).exp()
    A = -normal(width, states).exp()
    B, C = normal(rows, length, groups, states), normal(rows, length, groups, states)
    return normal(rows, length, width), dt, A, B, C, normal(rows, width, states)


def starts(length: int) -> Tensor:
    return torch.rand(2, length, generator=torch.Generator().manual_seed(3)) < 0.2


def closeness(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max().clamp(min=1))


def results(args: Inputs, cut: Tensor | None, name: str) -> list[Tensor]:
    leaves = [x.clone().requires_grad_() for x in args]
    with form(name):
        y, last = diagonal_scan(*leaves, starts_BT=cut)
        loss = (y * y.detach().cos()).sum() + (last * last.detach().cos()).sum()
        return [y.detach(), last.detach(), *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize("length", [1, 2, 7, 33, 129])
@pytest.mark.parametrize("groups", [1, 3, 6])
@pytest.mark.parametrize("packed", [False, True])
def test_chunked_equals_the_loop(length: int, groups: int, packed: bool) -> None:
    args, cut = inputs(length, groups=groups), starts(length) if packed else None
    for fast, slow in zip(results(args, cut, "chunked"), results(args, cut, "reference"), strict=True):
        assert fast.shape == slow.shape
        assert closeness(fast, slow) < 1e-12


@pytest.mark.parametrize("step", [0.0, 1e-6, 30.0, 1e3, 1e6])
def test_steps_of_any_size(step: float) -> None:
    args = inputs(70, step=step)
    for fast, slow in zip(results(args, None, "chunked"), results(args, None, "reference"), strict=True):
        assert torch.isfinite(fast).all()
        assert closeness(fast, slow) < 1e-11


def test_float32_error() -> None:
    narrow = results(inputs(129, dtype=torch.float32), None, "chunked")
    wide = results(tuple(x.double() for x in inputs(129, dtype=torch.float32)), None, "reference")
    assert all(a.dtype == torch.float32 for a in narrow)
    errors = [closeness(a.double(), b) for a, b in zip(narrow, wide, strict=True)]
    assert max(errors[:2]) < 4e-7
    assert max(errors[2:]) < 2e-6  # the gradients' weights, cos(y), already carry the error of y


def test_state_carries_over() -> None:
    u, dt, A, B, C, h = inputs(50)
    whole, last = diagonal_scan(u, dt, A, B, C, h)
    parts: list[Tensor] = []
    for part in (slice(0, 1), slice(1, 36), slice(36, 50)):
        y, h = diagonal_scan(u[:, part], dt[:, part], A, B[:, part], C[:, part], h)
        parts.append(y)
    assert closeness(torch.cat(parts, 1), whole) < 1e-12
    assert closeness(h, last) < 1e-12


@pytest.mark.parametrize("packed", [False, True])
def test_matrix_times_values_is_output(packed: bool) -> None:
    u, dt, A, B, C, h = inputs(20, groups=2)
    cut = starts(20) if packed else None
    y, _ = diagonal_scan(u, dt, A, B, C, torch.zeros_like(h), cut)
    assert closeness(torch.einsum("bdts,bsd->btd", scan_matrix(dt, A, B, C, cut), u), y) < 1e-12


def test_half_precision_keeps_its_type() -> None:
    y, last = diagonal_scan(*(x.bfloat16() for x in inputs(9)))
    assert y.dtype == last.dtype == torch.bfloat16


def test_reference_has_second_derivatives() -> None:
    args = tuple(x.requires_grad_() for x in inputs(3))

    def run(*xs: Tensor) -> tuple[Tensor, Tensor]:
        with form("reference"):
            return diagonal_scan(*xs)

    assert torch.autograd.gradgradcheck(run, args)


def test_groups_must_divide() -> None:
    u, dt, A, _, _, h = inputs(2)
    with pytest.raises(ValueError, match="groups=4 does not divide the 6 channels"):
        diagonal_scan(u, dt, A, torch.zeros(2, 2, 4, 4), torch.zeros(2, 2, 4, 4), h)


@pytest.mark.parametrize("packed", [False, True])
def test_operator_is_well_formed(packed: bool) -> None:
    args = [x.requires_grad_() for x in inputs(35, groups=2)]
    torch.library.opcheck(chunked, (*args, (~starts(35)).double() if packed else None))


class Scan(torch.nn.Module):
    def forward(self, u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return diagonal_scan(u, dt, A, B, C, h)


def test_exports_with_a_dynamic_length() -> None:
    T = torch.export.Dim("T", min=2)
    shapes = ({1: T}, {1: T}, None, {1: T}, {1: T}, None)
    program = torch.export.export(Scan(), inputs(17), dynamic_shapes=shapes).module()
    for length in (2, 17, 32, 33, 200):
        for a, b in zip(program(*inputs(length)), diagonal_scan(*inputs(length)), strict=True):
            assert torch.equal(a, b)


def test_compiles_in_one_graph() -> None:
    compiled = torch.compile(Scan(), backend="eager", fullgraph=True)
    args = tuple(x.requires_grad_() for x in inputs(40))
    for a, b in zip(compiled(*args), diagonal_scan(*args), strict=True):
        assert torch.equal(a, b)
