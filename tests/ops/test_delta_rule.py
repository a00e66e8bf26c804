"""The chunked delta rule equals the plain loop, parallel keys and closed gates included, and is an operator that torch can trace."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sequary.ops.delta_rule import delta_rule
from sequary.ops.delta_rule_chunked import chunked
from sequary.ops.forms import form

Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor]
WIDTHS = (0, 1, 5)
"""Of the gates: none, one a head, one for each key entry."""


def inputs(length: int, *, gates: int = 5, gate: float = 0.1, strength: float = 1.0, alike: float = 0.0) -> Inputs:
    """Unit keys, `alike` of each the same; e = `strength` gates of its own on k."""
    rng = torch.Generator().manual_seed(length)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    rows, heads, K, V = 2, 3, 5, 4
    k = (1 - alike) * normal(rows, length, heads, K) + alike * normal(rows, 1, heads, K)
    k = k / k.norm(dim=-1, keepdim=True)
    e = strength * normal(rows, length, heads, 1 if alike else K).sigmoid() * k
    g = -gate * normal(rows, length, heads, gates).exp() if gates else None
    q, v = normal(rows, length, heads, K), normal(rows, length, heads, V)
    return q, k, v, e, g, normal(rows, heads, K, V)


def to(args: Inputs, dtype: torch.dtype) -> Inputs:
    q, k, v, e, g, S = args
    return q.to(dtype), k.to(dtype), v.to(dtype), e.to(dtype), None if g is None else g.to(dtype), S.to(dtype)


def closeness(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max().clamp(min=1))


def results(args: Inputs, name: str) -> list[Tensor]:
    leaves = [None if x is None else x.clone().requires_grad_() for x in args]
    q, k, v, e, g, S = leaves
    assert q is not None
    assert k is not None
    assert v is not None
    assert e is not None
    assert S is not None
    with form(name):
        o, last = delta_rule(q, k, v, e, g, S)
        loss = (o * o.detach().cos()).sum() + (last * last.detach().cos()).sum()
        return [o.detach(), last.detach(), *torch.autograd.grad(loss, [x for x in leaves if x is not None])]


def worst(fast: list[Tensor], slow: list[Tensor]) -> float:
    assert all(a.shape == b.shape and a.isfinite().all() for a, b in zip(fast, slow, strict=True))
    return max(closeness(a.double(), b) for a, b in zip(fast, slow, strict=True))


@pytest.mark.parametrize("gates", WIDTHS)
@pytest.mark.parametrize("length", [1, 2, 7, 33, 64, 65, 129, 1100])
def test_chunked_equals_the_loop(length: int, gates: int) -> None:
    args = inputs(length, gates=gates)
    assert worst(results(args, "chunked"), results(args, "reference")) < 1e-12


@pytest.mark.parametrize("gates", WIDTHS[1:])
@pytest.mark.parametrize("gate", [1.0, 30.0, 1e3, math.inf])
def test_gates_that_close(gate: float, gates: int) -> None:
    args = inputs(70, gate=gate, gates=gates)
    assert worst(results(args, "chunked"), results(args, "reference")) < 1e-12


@pytest.mark.parametrize("gates", WIDTHS)
def test_nearly_parallel_keys_in_float32(gates: int) -> None:
    """Each token takes back almost twice what it finds: a power series of A would reach 1e9 and lose every digit."""
    args = inputs(70, gates=gates, strength=2.0, alike=0.999)
    assert worst(results(to(args, torch.float32), "chunked"), results(args, "reference")) < 1e-5


def test_one_token_of_strength_one_overwrites() -> None:
    """Reading where it was just written gives what was written, whatever lay there: the delta rule's point."""
    _, k, v, _, _, S = inputs(9)
    o, _ = delta_rule(k, k, v, k, None, S)
    torch.testing.assert_close(o, v)


def test_without_reads_it_is_linear_attention() -> None:
    from sequary.ops.linear_attend import linear_attend

    q, k, v, e, g, S = inputs(70)
    for a, b in zip(delta_rule(q, k, v, 0 * e, g, S), linear_attend(q, k, v, g, S), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("gates", WIDTHS)
def test_state_carries_over(gates: int) -> None:
    q, k, v, e, g, S = inputs(100, gates=gates)
    whole, last = delta_rule(q, k, v, e, g, S)
    parts: list[Tensor] = []
    for part in (slice(0, 1), slice(1, 77), slice(77, 100)):
        now = None if g is None else g[:, part]
        o, S = delta_rule(q[:, part], k[:, part], v[:, part], e[:, part], now, S)
        parts.append(o)
    assert closeness(torch.cat(parts, 1), whole) < 1e-12
    assert closeness(S, last) < 1e-12


def test_half_precision_keeps_its_type() -> None:
    o, last = delta_rule(*to(inputs(9), torch.bfloat16))
    assert o.dtype == last.dtype == torch.bfloat16


def test_rates_of_another_width_are_refused() -> None:
    q, k, v, e, _, S = inputs(3)
    with pytest.raises(ValueError, match="g has 2 rates a head; one, or one for each of 5 keys"):
        delta_rule(q, k, v, e, q[..., :2], S)


def test_reference_has_second_derivatives() -> None:
    args = tuple(x.requires_grad_() for x in inputs(3) if x is not None)

    def run(q: Tensor, k: Tensor, v: Tensor, e: Tensor, g: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
        with form("reference"):
            return delta_rule(q, k, v, e, g, S)

    assert torch.autograd.gradgradcheck(run, args)


@pytest.mark.parametrize("gates", WIDTHS)
@pytest.mark.parametrize("length", [5, 65])
def test_operator_is_well_formed(length: int, gates: int) -> None:
    args = inputs(length, gates=gates)
    torch.library.opcheck(chunked, tuple(x if x is None else x.requires_grad_() for x in args))


class Rule(torch.nn.Module):
    def forward(self, q: Tensor, k: Tensor, v: Tensor, e: Tensor, g: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
        return delta_rule(q, k, v, e, g, S)


def test_exports_with_a_dynamic_length() -> None:
    T = torch.export.Dim("T", min=2)
    program = torch.export.export(Rule(), inputs(17), dynamic_shapes=(*[{1: T}] * 5, None)).module()
    for length in (2, 17, 64, 65, 200):
        for a, b in zip(program(*inputs(length)), delta_rule(*inputs(length)), strict=True):
            assert torch.equal(a, b)
