"""Laws of a mixer's numbers: derivatives, extremes, forms, cost, export and compile."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.gradcheck import GradcheckError

from sequary.core.ctx import Ctx
from sequary.laws.case import normal
from sequary.laws.law import SEEDS, Law, equal, finite, held
from sequary.laws.sequence import SequenceCase, Spot
from sequary.ops.forms import form


def smooth(case: SequenceCase) -> None:
    """smooth: finite differences agree with the gradient, of input and weights. Not: they are seen to differ."""
    wrong = [found for seed in SEEDS if (found := disagreement(case, seed, torch.autograd.gradcheck))]
    if case.declared().smooth:
        held(not wrong, f"finite differences do not agree with the gradient: {wrong[:1]}")
    else:
        held(bool(wrong), "declares smooth = False, but finite differences agree: declare smooth = True")


def second(case: SequenceCase) -> None:
    """The reference form of every op has second derivatives, and finite differences agree with them."""
    with form("reference"):
        wrong = disagreement(case, 0, torch.autograd.gradgradcheck)
    held(not wrong, f"finite differences do not agree with the second derivative of the reference form: {wrong}")


def disagreement(case: SequenceCase, seed: int, check: Callable[..., bool]) -> str:
    """What a check of torch's finds at a few tokens, or nothing."""
    module = case.build(seed)
    names = [n for n, p in module.named_parameters() if p.requires_grad]
    weights = tuple(dict(module.named_parameters())[n].detach().requires_grad_() for n in names)
    x, ctx = case.world(case.spots(5)[0], seed)
    called = Called(case, module, ctx)

    def fn(x: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        named = {f"inner.{n}": v for n, v in zip(names, values, strict=True)}
        return torch.func.functional_call(called, named, (x,))

    try:
        check(fn, (x.requires_grad_(), *weights), fast_mode=True)
    except GradcheckError as error:
        return str(error).strip().splitlines()[0]
    return ""


class Called(nn.Module):
    """A member as a module of the input alone: what export, compile and gradcheck want."""

    def __init__(self, case: SequenceCase, inner: nn.Module, ctx: Any) -> None:
        super().__init__()
        self.case, self.inner, self.ctx = case, inner, dataclasses.replace(ctx, rng=None)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.case.call(self.inner, x, self.ctx)


def hard(case: SequenceCase) -> None:
    """Outputs and gradients stay finite in float32: inputs of size 1000, equal tokens, zeros, a row all masked."""
    for seed in SEEDS:
        module = case.build(seed, torch.float32)
        for spot in case.spots(7, 70) if seed == 0 else case.spots(7):
            x, ctx = case.world(spot, seed, dtype=torch.float32)
            for name, value in {
                "inputs of size 1000": 1e3 * x,
                "inputs of one sign, of size 1000": 1e3 * x.abs(),
                "inputs of the other sign": -1e3 * x.abs(),
                "equal tokens": x[:, :1].expand_as(x).clone(),
                "all zeros": torch.zeros_like(x),
            }.items():
                _stays_finite(case, module, value, ctx, name)
            mask = torch.ones(x.shape[:2], dtype=torch.bool)
            mask[1] = False
            _stays_finite(case, module, x, dataclasses.replace(ctx, mask=mask), "a row all masked")


def _stays_finite(case: SequenceCase, module: nn.Module, x: Tensor, ctx: Any, name: str) -> None:
    x = x.detach().requires_grad_()
    module.zero_grad()
    out = case.run(module, x, ctx)
    finite(out, name)
    out.sum().backward()
    if x.grad is not None:
        finite(x.grad, f"gradient of the input: {name}")
    for n, p in module.named_parameters():
        if p.grad is not None:
            finite(p.grad, f"gradient of {n}: {name}")


def forms(case: SequenceCase) -> float:
    """Every op's fast form equals its reference in value and gradient, also far from 0."""
    worst = 0.0
    for seed in SEEDS:
        module = case.build(seed)
        for spot in case.spots(7, 40) if seed == 0 else case.spots(7):
            for size in (1.0, 30.0):
                x, ctx = case.world(spot, seed)
                fast = _with_gradient(case, module, size * x, ctx)
                with form("reference"):
                    slow = _with_gradient(case, module, size * x, ctx)
                for a, b, what in zip(fast, slow, ("value", "gradient"), strict=True):
                    worst = max(worst, equal(a, b, f"fast form against the reference, {what}, inputs of size {size:g}"))
    return worst


def _with_gradient(case: SequenceCase, module: nn.Module, x: Tensor, ctx: Ctx) -> tuple[Tensor, Tensor]:
    x = x.detach().requires_grad_()
    out = case.run(module, x, ctx)
    (grad,) = torch.autograd.grad((out * normal(*out.shape, seed=4)).sum(), x)
    return out.detach(), grad


def exports(case: SequenceCase) -> float:
    """torch.export, with a dynamic length where any is taken: the program equals the module at another length."""
    module = case.build(0, torch.float32)
    spot = case.spots(8)[0]
    x, ctx = case.world(spot, 0, dtype=torch.float32)
    called = Called(case, module, ctx)
    shapes = {"x": {1: torch.export.Dim("length", min=2, max=4096)}} if case.free else None
    with torch.no_grad():
        program = torch.export.export(called, (x,), dynamic_shapes=shapes).module()
        other = Spot(13) if case.free else spot
        x = case.world(other, 1, dtype=torch.float32)[0]
        return max(equal(a, b, "exported program", 1e-5) for a, b in zip(program(x), called(x), strict=True))


def compiles(case: SequenceCase) -> float:
    """torch.compile(fullgraph=True, backend="eager"): no graph break, same values."""
    module = case.build(0, torch.float32)
    x, ctx = case.world(case.spots(8)[0], 0, dtype=torch.float32)
    called = Called(case, module, ctx)
    torch.compiler.reset()
    with torch.no_grad():
        quick: Any = torch.compile(called, fullgraph=True, backend="eager")
        return max(equal(a, b, "compiled", 1e-5) for a, b in zip(quick(x), called(x), strict=True))


def is_smooth_stated(case: SequenceCase) -> bool:
    return case.declared().smooth is not None


def is_smooth(case: SequenceCase) -> bool:
    return bool(case.declared().smooth)


LAWS = (
    Law(name="smooth", contract="sequence", catches="a wrong derivative", check=smooth, applies=is_smooth_stated),
    Law(name="hard", contract="sequence", catches="a form that overflows with strong gates", check=hard),
    Law(name="forms", contract="sequence", catches="a fast form that is not its reference", check=forms),
    Law(
        name="second",
        contract="sequence",
        catches="a reference without second derivatives",
        check=second,
        applies=is_smooth,
    ),
    Law(name="export", contract="sequence", catches="a graph that depends on data or length", check=exports, slow=True),
    Law(name="compile", contract="sequence", catches="a graph break", check=compiles, slow=True),
)
