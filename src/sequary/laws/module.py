"""Laws of every module: mixer, norm, backbone, tokens, head, model."""

from __future__ import annotations

import copy
import os
import random
import warnings
from typing import Any

import numpy as np
import torch
from torch import nn

from sequary.laws.case import Case, cast_to, each
from sequary.laws.law import SEEDS, Broken, Law, equal, finite, held


def shape(case: Case) -> None:
    """Runs in both modes; all that comes out is finite."""
    for seed in SEEDS:
        module = case.build(seed)
        for mode in (False, True):
            for out in case.call(module.train(mode), *case.args(module, seed)):
                finite(out, f"output in {'training' if mode else 'eval'} mode")


def gradients(case: Case) -> None:
    """Each parameter, and each floating input, gets a gradient that is finite and not zero, for one of the seeds."""
    missing: set[str] = set()
    for seed in SEEDS:
        module = case.build(seed)
        args = each(case.args(module, seed), lambda t: t.requires_grad_() if t.is_floating_point() else t)
        outs = case.call(module, *args)
        weights = [torch.randn(o.shape, generator=torch.Generator().manual_seed(seed), dtype=o.dtype) for o in outs]
        total = torch.stack([(o * w).sum().real for o, w in zip(outs, weights, strict=True)]).sum()
        held(total.requires_grad, "the output carries no gradient at all")
        total.backward()
        named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
        if isinstance(args[0], torch.Tensor) and args[0].is_floating_point():
            named.append(("the input", args[0]))
        for name, p in named:
            if p.grad is not None:
                finite(p.grad, f"gradient of {name}")
        without = {name for name, p in named if p.grad is None or not bool(p.grad.abs().max() > 0)}
        missing = without if seed == SEEDS[0] else missing & without
    held(not missing, f"no gradient reaches {', '.join(sorted(missing))}")


def deterministic(case: Case) -> None:
    """In eval mode: same in, same out, bit by bit, also after another call and from a deep copy; the input and torch's rng stay."""
    for seed in SEEDS:
        module = case.build(seed)
        args, same = case.args(module, seed), case.args(module, seed)
        with torch.no_grad():
            first = case.call(module, *args)
            case.call(module, *case.args(module, seed + 10))
            before = torch.get_rng_state()
            again = case.call(module, *args)
            held(
                torch.equal(before, torch.get_rng_state()),
                "draws from torch's global generator in eval mode; use ctx.rng",
            )
            copied = case.call(copy.deepcopy(module), *args)
        kept = [torch.equal(a, b) for a, b in zip(leaves(args), leaves(same), strict=True)]
        held(all(kept), "changes its input in place")
        for a, b, c in zip(first, again, copied, strict=True):
            held(torch.equal(a, b), "a second call gives another result: state or randomness is hidden in the module")
            held(torch.equal(a, c), "a deep copy gives another result")


def state_dict(case: Case) -> None:
    """A module with other weights gives the same output once it loads the state."""
    for seed in SEEDS:
        module, other = case.build(seed), case.build(seed + 10)
        other.load_state_dict({k: v.clone() for k, v in module.state_dict().items()})
        args = case.args(module, seed)
        with torch.no_grad():
            for a, b in zip(case.call(other, *args), case.call(module, *args), strict=True):
                equal(a, b, "after loading the state of another instance", 0.0)


def dtype(case: Case) -> None:
    """float32 and float64 in, the same out."""
    for kind in (torch.float32, torch.float64):
        module = case.build(0, kind)
        for out in case.call(module, *case.args(module, 0, kind)):
            held(out.dtype == kind or not out.is_floating_point(), f"{kind} in, {out.dtype} out")


def half(case: Case) -> float:
    """bfloat16 runs, stays bfloat16, and is near float32 of the same rounded weights and input (a tenth of its range)."""
    worst = 0.0
    for seed in SEEDS:
        module = case.build(seed, torch.bfloat16)
        wide = case.build(seed, torch.bfloat16).float()
        args = case.args(module, seed, torch.bfloat16)
        with torch.no_grad():
            for out, ref in zip(case.call(module, *args), case.call(wide, *cast_to(args, torch.float32)), strict=True):
                held(out.dtype == torch.bfloat16 or not out.is_floating_point(), f"bfloat16 in, {out.dtype} out")
                finite(out, "in bfloat16")
                worst = max(worst, equal(out, ref, "bfloat16 against float32", 0.1))
    return worst


def device(case: Case) -> None:
    """Runs on another device ("meta", which computes shapes only): nothing inside is made on the CPU by habit."""
    module = case.build(0, torch.float32)
    args = case.args(module, 0, torch.float32)
    shapes = [o.shape for o in case.call(module, *args)]
    outs = case.call(module.to("meta"), *cast_to(args, device="meta"))
    for out, expected in zip(outs, shapes, strict=True):
        held(out.device.type == "meta", f"input on another device, output on {out.device}")
        held(out.shape == expected, f"shape {tuple(out.shape)} on another device, {tuple(expected)} on the CPU")


def world() -> dict[str, Any]:
    """The global settings that a constructor could change. Torch's generator is left out: weights are drawn from it."""
    tables = [
        nn,
        nn.functional,
        nn.init,
        torch,
        torch.Tensor,
        *(c for c in vars(nn.modules).values() if isinstance(c, type)),
    ]
    return {
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "threads": torch.get_num_threads(),
        "grad mode": torch.is_grad_enabled(),
        "anomaly mode": torch.is_anomaly_enabled(),
        "determinism": torch.are_deterministic_algorithms_enabled(),
        "matmul precision": torch.get_float32_matmul_precision(),
        "warning filters": list(warnings.filters),
        "environment": dict(os.environ),
        "Python's random": random.getstate(),
        "numpy's random": np.random.get_state()[1].tolist(),  # type: ignore[union-attr]  # noqa: NPY002 - read, not used
        "attributes of torch": {
            id(t): {k: id(v) for k, v in vars(t).items() if not k.startswith("__")} for t in tables
        },
    }


def constructor(case: Case) -> None:
    """Constructing and calling change no global setting and patch nothing of torch."""
    before = world()
    module = case.fresh()
    made = world()
    changed = [k for k in before if before[k] != made[k]]
    held(not changed, f"constructing changes {', '.join(changed)}")
    if case.subject.contract == "member":
        return
    case.call(module.double(), *case.args(module, 0))
    after = world()
    changed = [k for k in before if before[k] != after[k]]
    held(not changed, f"calling changes {', '.join(changed)}")


def saved(case: Case) -> None:
    """A state dict of one instance fits another, and names every parameter."""
    module, other = case.fresh(0), case.fresh(1)
    if module.state_dict().keys() != other.state_dict().keys():
        raise Broken("two instances of the same arguments have states of different names")
    other.load_state_dict(module.state_dict())


def documented(case: Case) -> None:
    """The class says its idea."""
    held(bool((case.subject.cls.__doc__ or "").strip()), "no docstring: say the idea, the equation and the shapes")


def leaves(args: Any) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    each(args, lambda t: (found.append(t), t)[1])
    return found


def called(case: Case) -> bool:
    return case.subject.contract != "member"


LAWS = (
    Law(name="shape", contract="module", catches="a NaN, a crash in one of the modes", check=shape, applies=called),
    Law(name="gradients", contract="module", catches="a detached gradient", check=gradients, applies=called),
    Law(
        name="deterministic",
        contract="module",
        catches="hidden state or randomness, an input changed in place",
        check=deterministic,
        applies=called,
    ),
    Law(name="state", contract="module", catches="weights that are not saved", check=state_dict, applies=called),
    Law(name="dtype", contract="module", catches="a hard-wired dtype", check=dtype, applies=called),
    Law(name="half", contract="module", catches="overflow or float32 inside bfloat16", check=half, applies=called),
    Law(name="device", contract="module", catches="a tensor made on the CPU by habit", check=device, applies=called),
    Law(name="constructor", contract="module", catches="a global changed in a constructor", check=constructor),
    Law(name="saved", contract="module", catches="a state whose names are not its own", check=saved),
    Law(name="documented", contract="module", catches="a class without a word", check=documented),
)
