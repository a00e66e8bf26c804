"""What policies are tried on: a tiny model with weights of its own, batches, and a look at whether they stay as they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sequary.core.contracts import Model
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.laws.case import PolicyCase, cast_to, each, normal
from sequary.laws.law import Broken, NoToy, held
from sequary.laws.learning import built
from sequary.laws.toy import Toy, sizes
from sequary.laws.toys import TOYS, tiny_language, toy_of


@dataclasses.dataclass(frozen=True)
class HostCase(PolicyCase):
    """A policy, its host (`toy["host"]`: a function that returns a tiny recipe) and the toy for models of the host's class."""

    def toy(self) -> Toy:
        """For an objective the toy that serves it; for the rest that of the host's model."""
        if self.subject.contract != "objective":
            cls: Any = self.recipe().model.cls
            return toy_of(cls, None)
        served = next((t for t in TOYS if t.objectives and issubclass(self.subject.cls, t.objectives)), None)
        if served is None:
            raise NoToy(f"no toy for objectives of class {self.subject.cls.__name__}: add one to laws/toys.py")
        return served

    def recipe(self) -> Recipe:
        make = self.subject.toy.get("host")
        if make is not None:
            return make()
        return self.toy().host() if self.subject.contract == "objective" else tiny_language()

    def model(self) -> Model:
        """In float64 and eval mode, its weights moved far enough that nothing is near a tie."""
        model = built(self.recipe()).double().eval()
        with torch.no_grad():
            for n, p in enumerate(model.parameters()):
                p.add_(normal(*p.shape, seed=n), alpha=0.3)
        return model

    def batch(self, rows: int, seed: int) -> Batch:
        """Of the toy, or `toy["batch"](rows, rng)`."""
        rng, make = torch.Generator().manual_seed(seed), self.subject.toy.get("batch")
        if make is not None:
            return cast_to(make(rows, rng), torch.float64)
        toy = self.toy()
        return cast_to(toy.batch(rows, rng, sizes(self.recipe(), toy.spec)), torch.float64)


def tensors_of(value: Any) -> list[Tensor]:
    found: list[Tensor] = []
    each(value, lambda t: (found.append(t.clone()), t)[1])
    return found


def portrait(model: nn.Module) -> dict[str, Any]:
    """All that a policy could change of a model: weights, flags, modes, hooks."""
    seen: dict[str, Any] = {k: v.clone() for k, v in model.state_dict().items()}
    seen |= {f"{n} requires_grad": p.requires_grad for n, p in model.named_parameters()}
    for name, m in model.named_modules():
        hooks = (len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
        seen |= {f"{name} type": type(m), f"{name} mode": m.training, f"{name} hooks": hooks}
    return seen


@contextmanager
def unchanged(model: nn.Module, *values: Any, builds: bool = False) -> Iterator[None]:
    """Inside, the model, these values and torch's own generator (unless it `builds` modules) must stay bit for bit as they are."""
    before, kept, rng = portrait(model), [tensors_of(v) for v in values], torch.get_rng_state()
    yield
    after = portrait(model)
    held(before.keys() == after.keys(), f"adds to or takes from the model: {sorted(before.keys() ^ after.keys())[:3]}")
    for key, was in before.items():
        same = torch.equal(was, after[key]) if isinstance(was, Tensor) else was == after[key]
        held(same, f"changes the model that came in: {key}")
    for was, value in zip(kept, values, strict=True):
        if not all(torch.equal(a, b) for a, b in zip(was, tensors_of(value), strict=True)):
            raise Broken("changes the data that came in")
    held(
        builds or torch.equal(rng, torch.get_rng_state()), "draws from torch's global generator: use the one passed in"
    )
