"""A run to a checkpoint and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.train.averaging import tensors
from sequary.train.checkpoint import Checkpoint
from sequary.train.run import Run


def sections(run: Run) -> dict[str, dict[str, Tensor]]:
    """Every tensor that the rest of the run depends on."""
    found = {
        "weights": tensors(run.model),
        "adam": run.optimiser.state(),
        "best": run.best.weights,
        "random": _random(run),
    }
    if run.average is not None:
        found["average"] = run.average.state()
    return found | {f"hook{i}": hook.state() for i, hook in enumerate(run.hooks)}


def facts(run: Run) -> dict[str, Any]:
    """And every number. `sampler` is implied by the step; it is written for the reader."""
    epoch, offset = divmod(run.step * run.sampler.batch, run.sampler.size)
    best = {"value": run.best.value, "step": run.best.step, "waited": run.best.waited} if run.best.weights else None
    return {
        "step": run.step,
        "stopped": run.stopped,
        "sampler": {"epoch": epoch, "offset": offset},
        "loss": {"total": run.total, "count": run.count},
        "best": best,
        "curve": run.curve,
        "seconds": run.seconds,
    }


def restore(run: Run, checkpoint: Checkpoint) -> None:
    """Put `run`, freshly made, where the checkpoint was written.

    Raises:
        CheckpointError: names, shapes or types are those of another model.
    """
    checkpoint.fill("weights", tensors(run.model))
    checkpoint.fill("adam", run.optimiser.state())
    if run.average is not None:
        checkpoint.fill("average", run.average.state())
    for i, hook in enumerate(run.hooks):
        checkpoint.fill(f"hook{i}", hook.state())
    known = checkpoint.facts
    if known["best"] is not None:
        found = checkpoint.check("best", tensors(run.learner))
        run.best.weights = {n: t.to(run.device) for n, t in found.items()}
        run.best.value, run.best.step, run.best.waited = (known["best"][k] for k in ("value", "step", "waited"))
    run.step, run.stopped, run.seconds = known["step"], known["stopped"], known["seconds"]
    run.total, run.count = known["loss"]["total"], known["loss"]["count"]
    run.curve = [(step, train, held) for step, train, held in known["curve"]]
    _set_random(run, checkpoint.check("random", _random(run)))


def _random(run: Run) -> dict[str, Tensor]:
    states = {"torch": torch.get_rng_state(), "objective": run.rng.get_state()}
    return states | ({"device": torch.cuda.get_rng_state(run.device)} if run.device.type == "cuda" else {})


def _set_random(run: Run, states: Mapping[str, Tensor]) -> None:
    torch.set_rng_state(states["torch"])
    run.rng.set_state(states["objective"])
    if run.device.type == "cuda":
        torch.cuda.set_rng_state(states["device"], run.device)
