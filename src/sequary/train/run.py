"""One stage in progress: all that its steps change, and hence all that a checkpoint holds."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from sequary.core.contracts import Model, Objective
from sequary.core.recipe import Stage
from sequary.core.values import Batch
from sequary.train.averaging import Average, Best
from sequary.train.diverged import Seen, Watch
from sequary.train.evaluation import evaluate, moved
from sequary.train.hooks import Hook, Progressive
from sequary.train.manifest import Chosen
from sequary.train.optimiser import Optimiser
from sequary.train.sampler import Sampler
from sequary.train.schedule import rate
from sequary.train.seeds import derive, generator
from sequary.train.source import Source

Point = tuple[int, float, float | None]
"""(step, mean training loss since the last point, validation loss)."""


class Run:
    """To be made, stepped and finished inside `sequary.train.learning.learning`, with torch's generator forked."""

    def __init__(
        self,
        model: Model,
        stage: Stage,
        source: Source,
        *,
        seed: int,
        device: torch.device,
        hooks: Sequence[Hook],
        chosen: Chosen,
    ) -> None:
        self.model, self.train, self.source, self.seed, self.device = model, stage.train, source, seed, device
        self.hooks, self.chosen, self.steps = tuple(hooks), chosen, chosen.steps
        self.learner = model if stage.learns == "model" else model.get_submodule(stage.learns)
        inside = {id(p) for p in self.learner.parameters() if p.requires_grad}
        self.weights = {n: p for n, p in model.named_parameters() if id(p) in inside}
        self.optimiser = Optimiser(self.weights, self.train)
        self.average = None if self.train.ema is None else Average(self.weights, self.train.ema)
        self.sampler = Sampler(len(source), chosen.batch, seed)
        # Found out once: an objective that anneals, or one that does not.
        policy = stage.objective
        self.objective_at = policy.at if isinstance(policy, Progressive) else lambda _progress: policy
        torch.manual_seed(derive(seed, "torch"))
        self.rng = generator(device, seed, "objective")
        for hook in self.hooks:
            hook.start(model)
        self.watch, self.best = Watch(), Best()
        self.step, self.stopped, self.seconds = 0, False, 0.0
        self.total, self.count = 0.0, 0
        self.curve: list[Point] = []

    @property
    def done(self) -> bool:
        return self.stopped or self.step >= self.steps

    def advance(self) -> None:
        """One step. Nothing here waits for the device."""
        progress = self.step / max(1, self.steps - 1)
        rows = self.sampler.rows(self.step)
        batch = moved(self.source.batch(rows), self.device)
        for hook in self.hooks:
            batch = hook.batch(batch, progress)
        compute = functools.partial(self._compute, self.objective_at(progress), batch)
        for hook in self.hooks:
            compute = functools.partial(hook.gradients, self.optimiser.parameters, compute)
        loss = compute()
        gradient = self.optimiser.step(loss, rate(self.train, self.step, self.steps))
        if self.average is not None:
            self.average.update(self.step)
        for hook in self.hooks:
            hook.updated(self.model, progress)
        self.step += 1
        self.watch.seen.append(Seen(self.step, rows, loss, gradient))

    def _compute(self, objective: Objective, batch: Batch) -> Tensor:
        self.optimiser.clear()
        half = self.chosen.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16) if half else contextlib.nullcontext():
            loss = objective(self.model, batch, self.rng).value
        loss.backward()
        return loss.detach()

    def settle(self) -> float:
        """Look at the losses since the last look; the mean since the last evaluation. Raises `Diverged`."""
        for loss in self.watch.settle(self.weights):
            self.total, self.count = self.total + loss, self.count + 1
        return self.total / max(1, self.count)

    def judge(self, validation: Source | None) -> None:
        """A point of the learning curve; with patience, whether it is the best, or time to stop. Raises `Diverged`."""
        value, mean = None, self.settle()
        if validation is not None:
            with self._as_saved():
                objective = self.objective_at(1.0)
                value = evaluate(
                    self.model, objective, validation, batch=self.chosen.batch, seed=self.seed, step=self.step
                )
                if self.train.patience is not None:
                    self.best.offer(value, self.step, self.learner)
            self.stopped = self.train.patience is not None and self.best.waited >= self.train.patience
        self.curve.append((self.step, mean, value))
        self.total, self.count = 0.0, 0

    def finish(self) -> None:
        """Leave in the model what the stage is judged by: the best weights, else the averaged ones, else the last."""
        if self.best.weights:
            self.best.apply(self.learner)
        elif self.average is not None:
            self.average.apply()

    def _as_saved(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self.average is None else self.average.applied()
