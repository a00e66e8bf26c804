"""A loss that is not a number: found without waiting for each step, named exactly."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sequary.train.optimiser import Gradient


class Diverged(RuntimeError):
    """A loss or a gradient became NaN or infinite. The step was not made, nor any after it."""

    saved: str | None = None
    """The last good checkpoint; the loop, which knows it, fills it in."""

    def __init__(self, what: str, *, step: int, rows: Sequence[int], parameter: str | None) -> None:
        super().__init__(what)
        self.what, self.step, self.rows, self.parameter = what, step, tuple(rows), parameter

    def __str__(self) -> str:
        rows = ", ".join(map(str, self.rows[:8])) + (", …" if len(self.rows) > 8 else "")
        where = f"first in {self.parameter}" if self.parameter else "all weights and gradients are finite"
        kept = f"the last good checkpoint is {self.saved}" if self.saved else "no checkpoint was kept"
        return (
            f"step {self.step}: {self.what}, batch of rows {rows}; {where}; {kept}; "
            "lower lr, clip gradients, or look at these rows"
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """What is remembered of a step until the next look."""

    step: int
    rows: Tensor
    loss: Tensor
    gradient: Gradient


class Watch:
    """Holds the last steps' losses on the device; `settle` reads them together.

    A bad step makes the optimiser skip it and all later ones (on the device, see `optimiser.py`), so that looking late loses
    nothing: the weights are still those before it.
    """

    def __init__(self) -> None:
        self.seen: list[Seen] = []

    def settle(self, weights: Mapping[str, nn.Parameter]) -> list[float]:
        """The losses since the last look.

        Raises:
            Diverged: names the first bad step, its rows and the first parameter with a bad weight or gradient.
        """
        if not self.seen:
            return []
        losses: list[float] = torch.stack([s.loss for s in self.seen]).tolist()
        totals: list[float] = torch.stack([s.gradient.norm for s in self.seen]).tolist()
        for seen, loss, total in zip(self.seen, losses, totals, strict=True):
            if not (math.isfinite(loss) and math.isfinite(total)):
                raise _diverged(seen, loss, weights)
        self.seen.clear()
        return losses


def _diverged(seen: Seen, loss: float, weights: Mapping[str, nn.Parameter]) -> Diverged:
    norms = dict(zip(seen.gradient.names, seen.gradient.norms.tolist(), strict=True))
    bad = next((f"the gradient of {n}" for n in weights if not math.isfinite(norms.get(n, 0.0))), None)
    what = f"the loss is {loss}"
    if math.isfinite(loss):
        what = f"the loss is {loss:.6g} but its gradient is not finite"
        largest = max(norms, key=lambda n: norms[n])
        bad = bad or f"the gradient of {largest}, whose norm {norms[largest]:.3g} cannot be squared"
    return Diverged(what, step=seen.step, rows=seen.rows.tolist(), parameter=bad_weight(weights) or bad)


def bad_weight(weights: Mapping[str, nn.Parameter]) -> str | None:
    return next((f"the weight {n}" for n, p in weights.items() if not torch.isfinite(p).all()), None)
