"""The law of training in bfloat16: under autocast products of matrices are rounded, and a module does what it did."""

from __future__ import annotations

import contextlib
import math

import torch
from torch import Tensor, nn

from sequary.laws.case import Case, cast_to, normal
from sequary.laws.law import Law, equal, finite, held
from sequary.laws.module import called


def autocast(case: Case) -> float:
    """A step as training takes it, forward under autocast and backward after it. Outputs are near float32 (a tenth of its range), but
    where `half` is exempt, since rounding is the reason there; gradients are finite, of all parameters that have one in float32."""
    module = case.build(0, torch.bfloat16).float()
    outs, learnt = _step(case, module, half=False)
    rounded, reached = _step(case, module, half=True)
    lost = learnt - reached
    held(not lost, f"under autocast no gradient reaches {', '.join(sorted(lost))}")
    limit = math.inf if "half" in case.subject.exempt else 0.1
    return max(equal(a, b, "autocast against float32", limit) for a, b in zip(rounded, outs, strict=True))


def _step(case: Case, module: nn.Module, *, half: bool) -> tuple[tuple[Tensor, ...], set[str]]:
    """(the outputs, the parameters that a gradient reaches)."""
    module.zero_grad()
    with torch.autocast("cpu", torch.bfloat16) if half else contextlib.nullcontext():
        outs = case.call(module, *cast_to(case.args(module, 0, torch.bfloat16), torch.float32))
    learnt = [o for o in outs if o.requires_grad]
    weights = [normal(*o.shape, seed=n, dtype=o.dtype) for n, o in enumerate(learnt)]
    if learnt:
        torch.autograd.backward(learnt, weights)
    for out in outs:
        finite(out, "under autocast" if half else "in float32")
    named = {n: p.grad for n, p in module.named_parameters() if p.grad is not None}
    for name, grad in named.items():
        finite(grad, f"gradient of {name} {'under autocast' if half else 'in float32'}")
    return outs, set(named)


LAWS = (
    Law(
        name="autocast",
        contract="module",
        catches="an operator that fails or loses too much under autocast",
        check=autocast,
        applies=called,
    ),
)
