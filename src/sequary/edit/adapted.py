"""A trained model's feed-forwards exchanged for adaptive ones (Wójcik et al., Adaptive Computation Modules, arXiv 2312.10193).

Three phases: each module's learners are distilled on what the old one read and said, all apart; its gate learns the least number of
learners that comes near enough; then the whole model is tuned by its own loss, held to a mean share of the learners.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Model
from sequary.core.part import part
from sequary.core.recipe import Recipe
from sequary.core.values import Batch, Edited
from sequary.edit.layers import changed, places
from sequary.mixers.mlp.activated import ActivatedMLP
from sequary.mixers.mlp.adaptive import AdaptiveMLP
from sequary.mixers.mlp.dense import MLP
from sequary.mixers.mlp.swiglu import SwiGLU

KINDS = (MLP, SwiGLU, ActivatedMLP)
ROWS = 256
"""Tokens of one step of distillation."""


@dataclasses.dataclass(frozen=True, slots=True)
class Adapted:
    """`learners` of the old hidden width / `cut` each; `near`: the squared error, relative to the output's size, that is near enough.

    `steps` of distillation, of the gate, and of tuning. The tuning's loss is the recipe's own + `pull` · |share − `keep`| − `spread` ·
    how unlike in number of learners tokens of one row and rows of one batch are.
    """

    tiny: ClassVar[Mapping[str, Any]] = {"steps": (3, 2, 3)}

    learners: int = 4
    cut: int = 4
    keep: float = 0.5
    near: float = 0.1
    steps: tuple[int, int, int] = (300, 200, 300)
    lr: float = 1e-3
    pull: float = 1.0
    spread: float = 0.05

    def __call__(self, model: Model, recipe: Recipe, calibration: Sequence[Batch], rng: torch.Generator) -> Edited:
        at = [f"backbone.blocks.{layer}.parts.{index}" for layer, index, _ in places(recipe, KINDS)]
        if not at:
            raise ValueError(
                "its blocks hold no MLP, SwiGLU or ActivatedMLP to exchange; choose a model that has them, such as gpt"
            )
        widths = iter([model.get_parameter(f"{name}.up.weight").shape[0] // self.cut for name in at])
        new = changed(recipe, KINDS, lambda *_: part(AdaptiveMLP, learners=self.learners, hidden=next(widths)))
        told = heard(model, at, calibration)
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(int(torch.randint(2**31, (), generator=rng)))
            made = new.build().to(next(model.parameters()))
            kept = {n: v for n, v in model.state_dict().items() if not n.startswith(tuple(f"{name}." for name in at))}
            made.load_state_dict(kept, strict=False)
            modules = [m for m in made.modules() if isinstance(m, AdaptiveMLP)]
            for module, (x, y) in zip(modules, told, strict=True):
                self.distil(module, x, y, rng)
                self.open(module, x, y, rng)
            self.tune(made, modules, recipe, calibration, rng)
        before, after = (sum(p.numel() for p in m.parameters()) for m in (model, made))
        used = share(choices(made.eval(), modules, calibration))
        numbers = {"parameters_before": before, "parameters": after, "share": float(used)}
        return Edited(made.train(model.training), new, numbers)

    def distil(self, module: AdaptiveMLP, x_ND: Tensor, y_ND: Tensor, rng: torch.Generator) -> None:
        """Each learner mends what those before it leave."""
        learnt = [p for n, p in module.named_parameters() if not n.startswith("gate.")]
        optimiser = torch.optim.Adam(learnt, lr=self.lr)
        for rows in drawn(len(x_ND), self.steps[0], rng):
            error = module.every(x_ND[rows], apart=True) - y_ND[rows, None]
            _step(optimiser, error.square().mean())

    def open(self, module: AdaptiveMLP, x_ND: Tensor, y_ND: Tensor, rng: torch.Generator) -> None:
        """The gate learns the least number of learners that comes near enough, or all."""
        optimiser = torch.optim.Adam(module.gate.parameters(), lr=self.lr)
        for rows in drawn(len(x_ND), self.steps[1], rng):
            x, y = x_ND[rows], y_ND[rows]
            with torch.no_grad():
                error = (module.every(x) - y[:, None]).square().sum(-1) / y.square().sum(-1, keepdim=True)
                near = torch.cat((error[:, :-1] <= self.near, torch.ones_like(error[:, :1], dtype=torch.bool)), 1)
            _step(optimiser, F.cross_entropy(module.gate.scores(x), near.int().argmax(1)))

    def tune(
        self,
        made: Model,
        modules: list[AdaptiveMLP],
        recipe: Recipe,
        calibration: Sequence[Batch],
        rng: torch.Generator,
    ) -> None:
        objective, optimiser = recipe.stages[-1].objective, torch.optim.Adam(made.parameters(), lr=self.lr)
        made.train()
        for number in range(self.steps[2]):
            batch = calibration[number % len(calibration)]
            chosen: list[Tensor] = []
            hooks = [m.gate.register_forward_hook(lambda *args: chosen.append(args[2])) for m in modules]  # noqa: B023 - called here
            loss = objective(made, batch, rng).value
            for hook in hooks:
                hook.remove()
            loss = loss + self.pull * (share(chosen) - self.keep).abs() - self.spread * unlike(chosen)
            _step(optimiser, loss)


def heard(model: Model, at: Sequence[str], calibration: Sequence[Batch]) -> list[tuple[Tensor, Tensor]]:
    """For each module of these names (what it read, what it said), [N, D] each."""
    found: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in at}

    def listen(name: str) -> torch.utils.hooks.RemovableHandle:
        def hook(_: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
            found[name].append((args[0].flatten(0, -2), out.flatten(0, -2)))

        return model.get_submodule(name).register_forward_hook(hook)

    hooks = [listen(name) for name in at]
    with torch.no_grad():
        for batch in calibration:
            model(batch)
    for hook in hooks:
        hook.remove()
    return [(torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])) for pairs in found.values()]


@torch.no_grad()
def choices(model: Model, modules: Sequence[AdaptiveMLP], batches: Sequence[Batch]) -> list[Tensor]:
    """[B, T, L + 1] of every module and batch."""
    found: list[Tensor] = []
    hooks = [m.gate.register_forward_hook(lambda *args: found.append(args[2])) for m in modules]
    for batch in batches:
        model(batch)
    for hook in hooks:
        hook.remove()
    return found


def learners_of(choice_BTL: Tensor) -> Tensor:
    """[B, T]: the share of the learners."""
    last = choice_BTL.shape[-1] - 1
    return choice_BTL @ (torch.arange(last + 1, device=choice_BTL.device).to(choice_BTL.dtype) / last)


def share(chosen: Sequence[Tensor]) -> Tensor:
    return torch.stack([learners_of(c).mean() for c in chosen]).mean()


def unlike(chosen: Sequence[Tensor]) -> Tensor:
    """Entropy of a row's choices, relative to the greatest, and the mean gap between rows' shares, both averaged."""
    mean_NBL = torch.stack([c.mean(1) for c in chosen])
    entropy = -(mean_NBL * mean_NBL.clamp(min=1e-6).log()).sum(-1).mean() / math.log(mean_NBL.shape[-1])
    shares_B = torch.stack([learners_of(c).mean(1) for c in chosen]).mean(0)
    return entropy + (shares_B[:, None] - shares_B).abs().mean()


def drawn(count: int, steps: int, rng: torch.Generator) -> Iterator[Tensor]:
    for _ in range(steps):
        yield torch.randint(count, (min(ROWS, count),), generator=rng)


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_([p for group in optimiser.param_groups for p in group["params"]], 1.0)
    optimiser.step()
