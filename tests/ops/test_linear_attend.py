"""The chunked form equals the plain loop, closed gates included, and is an operator that torch can trace."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sequary.ops.forms import BRIEF, form
from sequary.ops.linear_attend import linear_attend
from sequary.ops.linear_attend_channelwise import HEADS, decaying
from sequary.ops.linear_attend_chunked import chunked
from sequary.ops.linear_attend_headwise import headwise

Inputs = tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor]
WIDTHS = (0, 1, 5)
"""Of the gates: none, one a head, one for each key entry."""


def inputs(length: int, *, gates: int = 5, gate: float = 0.1, dtype: torch.dtype = torch.float64) -> Inputs:
    rng = torch.Generator().manual_seed(length)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng, dtype=torch.float64).to(dtype)

    rows, heads, K, V = 2, 3, 5, 4
    q, k = normal(rows, length, heads, K), normal(rows, length, heads, K)
    g = -gate * normal(rows, length, heads, gates).exp() if gates else None
    return q, k, normal(rows, length, heads, V), g, normal(rows, heads, K, V)


def to(args: Inputs, dtype: torch.dtype) -> Inputs:
    q, k, v, g, S = args
    return q.to(dtype), k.to(dtype), v.to(dtype), None if g is None else g.to(dtype), S.to(dtype)


def closeness(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max().clamp(min=1))


def results(args: Inputs, name: str) -> list[Tensor]:
    q, k, v, g, S = (None if x is None else x.clone().requires_grad_() for x in args)
    assert q is not None
    assert k is not None
    assert v is not None
    assert S is not None
    leaves = [x for x in (q, k, v, g, S) if x is not None]
    with form(name):
        o, last = linear_attend(q, k, v, g, S)
        loss = (o * o.detach().cos()).sum() + (last * last.detach().cos()).sum()
        return [o.detach(), last.detach(), *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize("gates", WIDTHS)
@pytest.mark.parametrize("length", [1, 2, 7, 33, 64, 65, 129, 1100])
def test_chunked_equals_the_loop(length: int, gates: int) -> None:
    args = inputs(length, gates=gates)
    for fast, slow in zip(results(args, "chunked"), results(args, "reference"), strict=True):
        assert fast.shape == slow.shape
        assert closeness(fast, slow) < 1e-12


@pytest.mark.parametrize("gates", WIDTHS)
@pytest.mark.parametrize("length", [1, 9, 130])
def test_heads_of_a_group_share_queries_and_keys(length: int, gates: int) -> None:
    """As if each head had its own copy of them, in either form."""
    q, k, v, g, S = inputs(length, gates=gates)
    q, k = q[:, :, :1], k[:, :, :1]
    copies = q.expand(-1, -1, 3, -1), k.expand(-1, -1, 3, -1)
    for name in ("chunked", "reference"):
        found, expected = results((q, k, v, g, S), name), results((*copies, v, g, S), name)
        for i, (a, b) in enumerate(zip(found, expected, strict=True)):
            summed = b.sum(2, keepdim=True) if i in (2, 3) else b  # gradients of q and k: over their copies
            assert closeness(a, summed) < 1e-12


def test_heads_that_no_group_divides_are_refused() -> None:
    q, k, v, g, S = inputs(3)
    with pytest.raises(ValueError, match="2 heads of q and k do not divide the 3 of v"):
        linear_attend(q[:, :, :2], k[:, :, :2], v, g, S)


@pytest.mark.parametrize("gates", WIDTHS)
def test_what_the_loss_leaves_out_has_no_gradient(gates: int) -> None:
    """The output alone, or the last state alone."""
    for which in (0, 1):
        found, expected = list[Tensor](), list[Tensor]()
        for name, into in (("chunked", found), ("reference", expected)):
            leaves = [x.clone().requires_grad_() for x in inputs(70, gates=gates) if x is not None]
            q, k, v, *g, S = leaves
            with form(name):
                loss = linear_attend(q, k, v, g[0] if g else None, S)[which].sum()
            into += [
                torch.zeros_like(x) if d is None else d
                for x, d in zip(leaves, torch.autograd.grad(loss, leaves, allow_unused=True), strict=True)
            ]
        assert max(closeness(a, b) for a, b in zip(found, expected, strict=True)) < 1e-12


@pytest.mark.parametrize("gates", WIDTHS[1:])
@pytest.mark.parametrize("gate", [0.0, 1.0, 30.0, 1e3, 1e5])
def test_gates_that_close(gate: float, gates: int) -> None:
    args = inputs(70, gate=gate, gates=gates)
    for fast, slow in zip(results(args, "chunked"), results(args, "reference"), strict=True):
        assert torch.isfinite(fast).all()
        assert closeness(fast, slow) < 1e-12


@pytest.mark.parametrize("gates", WIDTHS[1:])
def test_one_closed_gate_harms_no_neighbour(gates: int) -> None:
    """A shut gate (even minus infinity) inside a chunk of open ones costs no precision, in float32 either."""
    q, k, v, g, S = inputs(70, gate=1e-3, gates=gates, dtype=torch.float32)
    assert g is not None
    g[:, 20], g[:, 21], g[:, 50] = -1e3, -1e4, -math.inf
    narrow, wide = results((q, k, v, g, S), "chunked"), results(to((q, k, v, g, S), torch.float64), "reference")
    assert max(closeness(a.double(), b) for a, b in zip(narrow, wide, strict=True)) < 1e-5


@pytest.mark.parametrize("gates", WIDTHS)
def test_float32_error(gates: int) -> None:
    q, k, v, g, S = inputs(129, gates=gates, dtype=torch.float32)
    args = q, 0.1 * k, v, g, S  # outputs near 1, since the loss takes their cosine
    narrow, wide = results(args, "chunked"), results(to(args, torch.float64), "reference")
    assert all(a.dtype == torch.float32 for a in narrow)
    assert max(closeness(a.double(), b) for a, b in zip(narrow, wide, strict=True)) < 2e-6


@pytest.mark.parametrize("gates", WIDTHS)
def test_state_carries_over(gates: int) -> None:
    q, k, v, g, S = inputs(100, gates=gates)
    whole, last = linear_attend(q, k, v, g, S)
    parts: list[Tensor] = []
    for part in (slice(0, 1), slice(1, 77), slice(77, 100)):
        o, S = linear_attend(q[:, part], k[:, part], v[:, part], None if g is None else g[:, part], S)
        parts.append(o)
    assert closeness(torch.cat(parts, 1), whole) < 1e-12
    assert closeness(S, last) < 1e-12


def test_half_precision_keeps_its_type() -> None:
    o, last = linear_attend(*to(inputs(9), torch.bfloat16))
    assert o.dtype == last.dtype == torch.bfloat16


def test_rates_of_another_width_are_refused() -> None:
    q, k, v, _, S = inputs(3)
    with pytest.raises(ValueError, match="g has 2 rates a head; one, or one for each of 5 keys"):
        linear_attend(q, k, v, q[..., :2], S)


def test_reference_has_second_derivatives() -> None:
    args = tuple(x.requires_grad_() for x in inputs(3) if x is not None)

    def run(q: Tensor, k: Tensor, v: Tensor, g: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
        with form("reference"):
            return linear_attend(q, k, v, g, S)

    assert torch.autograd.gradgradcheck(run, args)


@pytest.mark.parametrize("gates", WIDTHS)
@pytest.mark.parametrize("length", [5, 65, 129])
def test_operator_is_well_formed(length: int, gates: int) -> None:
    args = inputs(length, gates=gates)
    op = headwise if gates == 1 else chunked
    torch.library.opcheck(op, tuple(x if x is None else x.requires_grad_() for x in args))


class Decay(torch.nn.Module):
    def forward(self, q: Tensor, k: Tensor, v: Tensor, g: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
        return linear_attend(q, k, v, g, S)


def test_exports_with_a_dynamic_length() -> None:
    T = torch.export.Dim("T", min=2)
    program = torch.export.export(Decay(), inputs(17), dynamic_shapes=(*[{1: T}] * 4, None)).module()
    for length in (2, 17, 64, 65, 200):
        for a, b in zip(program(*inputs(length)), linear_attend(*inputs(length)), strict=True):
            assert torch.equal(a, b)


def test_compiles_in_one_graph() -> None:
    compiled = torch.compile(Decay(), backend="eager", fullgraph=True)
    args = inputs(40)
    for x in args:
        assert x is not None
        x.requires_grad_()
    for a, b in zip(compiled(*args), linear_attend(*args), strict=True):
        assert torch.equal(a, b)


def test_a_step_without_gradients_takes_the_loop() -> None:
    """And says what the chunked form says; a longer call, or one that learns, is chunked."""
    for length in (1, 2, 3):
        args = inputs(length)
        with form("chunked"):
            chunks = linear_attend(*args)
        with torch.no_grad():
            step = linear_attend(*args)
            with form("reference"):
                loop = linear_attend(*args)
        assert all(torch.equal(a, b) for a, b in zip(step, loop if length <= BRIEF else chunks, strict=True))
        assert all(torch.equal(a, b) for a, b in zip(linear_attend(*args), chunks, strict=True))
        assert max(closeness(a, b) for a, b in zip(step, chunks, strict=True)) < 1e-12


@pytest.mark.parametrize("length", [1, 2, 70])
@pytest.mark.parametrize("gate", [0.1, 30.0, math.inf])
def test_many_heads_of_one_key_are_summed_channel_by_channel(length: int, gate: float) -> None:
    """As the loop does, closed gates included; an operator that torch can trace."""
    rng = torch.Generator().manual_seed(length)
    rows, heads, V = 2, HEADS, 3
    q, k, g = (torch.randn(rows, length, heads, 1, generator=rng, dtype=torch.float64) for _ in range(3))
    v = torch.randn(rows, length, heads, V, generator=rng, dtype=torch.float64)
    S = torch.randn(rows, heads, 1, V, generator=rng, dtype=torch.float64)
    g = torch.where(g > 1, -gate, -0.1 * g.exp())
    for fast, slow in zip(results((q, k, v, g, S), "chunked"), results((q, k, v, g, S), "reference"), strict=True):
        assert fast.shape == slow.shape
        assert closeness(fast, slow) < 1e-12
    args = (k * v).requires_grad_(), g[..., 0].exp().requires_grad_(), S[:, :, 0].requires_grad_()
    torch.library.opcheck(decaying, args)


@pytest.mark.parametrize(("heads", "width", "gates"), [(3, 5, 0), (3, 5, 1), (3, 5, 5), (HEADS, 1, 1)])
def test_no_rows_are_no_error_and_a_state_is_no_view(heads: int, width: int, gates: int) -> None:
    """Of each chunked form."""
    for rows in (0, 2):
        q, k = (torch.randn(rows, 70, heads, width, requires_grad=True) for _ in range(2))
        v, S = (torch.randn(rows, *shape, requires_grad=True) for shape in ((70, heads, 4), (heads, width, 4)))
        g = -torch.rand(rows, 70, heads, gates) if gates else None
        o, last = linear_attend(q, k, v, g, S)
        (o.sum() + last.sum()).backward()
        assert o.shape == v.shape
        assert last.untyped_storage().nbytes() == last.nbytes
        assert all(x.grad is not None and x.grad.shape == x.shape for x in (q, k, v, S))


def test_autocast_leaves_the_forms_in_float32() -> None:
    """Products inside an operator stay as they are, forwards and backwards."""
    for gates in WIDTHS:
        args = to(inputs(70, gates=gates), torch.float32)
        plain = results(args, "chunked")
        with torch.autocast("cpu", torch.bfloat16):
            found = results(args, "chunked")
        assert all(torch.equal(a, b) for a, b in zip(found, plain, strict=True))
