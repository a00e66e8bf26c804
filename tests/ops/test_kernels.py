"""The form of a GPU: agrees with the plain loop where there is one; asked for elsewhere, an error with the mend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from sequary.ops import kernels
from sequary.ops.delta_rule import delta_rule
from sequary.ops.forms import form
from sequary.ops.linear_attend import linear_attend

Op = Callable[..., tuple[Tensor, Tensor]]
OPS: tuple[Op, ...] = (linear_attend, delta_rule)


def world(op: Op, rates: int | None, *, device: str, dtype: torch.dtype) -> list[Any]:
    """What the op takes: keys of size 1, erased by a strength, memory dropped at two tokens."""
    draw = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 150, 2, 32, generator=draw) for _ in range(3))
    k = torch.nn.functional.normalize(k, dim=-1)
    erased = [k * torch.rand(2, 150, 2, 1, generator=draw)] if op is delta_rule else []
    g = None if rates is None else -torch.rand(2, 150, 2, rates, generator=draw)
    if g is not None:
        g[:, [40, 90]] = -torch.inf
    moved = [x.to(device, dtype).requires_grad_() for x in (q, k, v, *erased)]
    return [*moved, None if g is None else g.to(device), torch.randn(2, 2, 32, 32, generator=draw).to(device)]


@pytest.mark.skipif(not (torch.cuda.is_available() and kernels.installed()), reason="needs a GPU and sequary[kernels]")
@pytest.mark.parametrize("rates", [None, 1, 32])
@pytest.mark.parametrize("op", OPS)
def test_kernels_equal_the_loop(op: Op, rates: int | None) -> None:
    found: dict[str, list[Tensor]] = {}
    for name in ("reference", "kernels"):
        given = world(op, rates, device="cuda", dtype=torch.bfloat16)
        with form(name):
            o, last = op(*given)
        (o.float().square().sum() + last.square().sum()).backward()
        found[name] = [o, last, *(x.grad for x in given if x is not None and x.grad is not None)]
    for ours, theirs in zip(found["kernels"], found["reference"], strict=True):
        assert (ours - theirs).abs().max() <= 0.02 * theirs.abs().max()


@pytest.mark.parametrize("op", OPS)
def test_asked_for_where_they_cannot_run_they_are_an_error(op: Op) -> None:
    given = world(op, 1, device="cpu", dtype=torch.bfloat16)
    with form("kernels"), pytest.raises(RuntimeError, match=r"sequary\[kernels\]|use \"chunked\""):
        op(*given)
    op(*given)  # by default they are not tried there
