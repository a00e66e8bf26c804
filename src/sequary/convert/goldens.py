"""Replay what an outside implementation computed, and measure how far ours is from it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sequary.convert.declined import Declined
from sequary.convert.source import converter, read_weights


@dataclasses.dataclass(frozen=True, slots=True)
class Replay:
    """One case: the greatest error over outputs and gradients, where it lies, and whether that is within tolerance.

    `values`, `gradients`: the greatest of either alone (None where the case has none).
    """

    case: str
    error: float | None
    where: str
    passed: bool
    declined: str | None = None
    values: float | None = None
    gradients: float | None = None


def cases(folder: Path) -> list[Path]:
    """The case files (JSON, beside a safetensors of the same name) of one slug, by name."""
    found = sorted(p for p in folder.glob("*.json") if p.with_suffix(".safetensors").is_file())
    if not found:
        raise FileNotFoundError(f"{folder}: no case there (NAME.json beside NAME.safetensors)")
    return found


def replay(slug: str, path: Path) -> Replay:
    """Error is max|a−b| / max(1, max|b|); above 1e-9 (1e-5 where the case is float32), or any unequal integer, is a failure."""
    case: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    tensors = read_weights(path.with_suffix(".safetensors"))
    weights = {k[2:]: v for k, v in tensors.items() if k.startswith("w.")}
    inputs = {k[3:]: v for k, v in tensors.items() if k.startswith("in.")}
    wanted = [k[len("grad.in.") :] for k in tensors if k.startswith("grad.in.")]
    for name in wanted:
        inputs[name].requires_grad_()
    module = converter(slug)
    try:
        loaded = module.load(source(case), case["arguments"], weights)
        outputs: Mapping[str, Tensor] = module.replay(loaded, inputs, case["arguments"])
    except Declined as reason:
        return Replay(path.stem, None, "", True, str(reason))
    errors = {f"out.{n}": _error(outputs.get(n), tensors[f"out.{n}"]) for n in _names(tensors, "out.")}
    if wanted:
        total = sum((outputs[n] * outputs[n].cos().detach()).sum() for n in case["grad_of"])
        assert isinstance(total, Tensor)
        grads = torch.autograd.grad(total, [inputs[n] for n in wanted], allow_unused=True)
        for name, grad in zip(wanted, grads, strict=True):
            zero = torch.zeros_like(inputs[name]) if grad is None else grad
            errors[f"grad.in.{name}"] = _error(zero, tensors[f"grad.in.{name}"])
    worst = max(errors, key=lambda n: errors[n])
    tolerance = 1e-5 if case.get("dtype") == "float32" else 1e-9
    halves = [max((e for n, e in errors.items() if n.startswith(kind)), default=None) for kind in ("out.", "grad.")]
    return Replay(path.stem, errors[worst], worst, errors[worst] <= tolerance, None, *halves)


def source(case: Mapping[str, Any]) -> str:
    """The case's class; with its file where the class is just called `Model`, which says nothing."""
    return f"{case['file']}:Model" if case["class"] == "Model" else case["class"]


def _names(tensors: Mapping[str, Tensor], prefix: str) -> list[str]:
    return [k[len(prefix) :] for k in tensors if k.startswith(prefix)]


def _error(ours: Tensor | None, theirs: Tensor) -> float:
    """Infinite where an output is missing, has another shape, is not finite where theirs is, or an integer differs."""
    if ours is None or ours.shape != theirs.shape:
        return float("inf")
    if not theirs.is_floating_point() and not theirs.is_complex():
        return 0.0 if torch.equal(ours.to(theirs.dtype), theirs) else float("inf")
    ours = ours.detach()
    same = (ours == theirs) | (ours.isnan() & theirs.isnan())  # equal infinities and NaN count as equal
    gap = torch.where(same, 0.0, (ours - theirs).abs()).max() if theirs.numel() else torch.tensor(0.0)
    finite = theirs[theirs.isfinite()].abs()
    error = float(gap) / max(1.0, float(finite.max()) if finite.numel() else 1.0)
    return error if error == error else float("inf")
