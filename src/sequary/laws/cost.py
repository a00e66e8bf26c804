"""The law of cost: work is counted, and grows with the length as declared."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, cast

import torch
from torch import Tensor
from torch._library.custom_ops import OPDEFS
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from sequary.core.part import Part
from sequary.laws.case import each
from sequary.laws.law import Law, held
from sequary.laws.sequence import SequenceCase, Spot

NEAR_COST = 0.2
"""Allowed distance of the measured exponent from the declared one."""


class Work(TorchDispatchMode):
    """Counts floating-point operations: `products`, those of matrix products, two a multiply-add; `rest`, those of convolutions and the
    numbers that all operations write.

    Operations of this library's own are one to torch; here they count as what they do.
    """

    def __init__(self) -> None:
        super().__init__()
        self.products = self.rest = 0.0

    @property
    def total(self) -> float:
        return self.products + self.rest

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        own = OPDEFS.get(func.name())
        with self:
            made = (func.decompose if own is None else own._init_fn)(*args, **(kwargs or {}))
        if made is not NotImplemented:
            return made
        out = func(*args, **(kwargs or {}))
        each(tuple(out) if isinstance(out, list) else out, self._wrote)
        known = flop_registry.get(func._overloadpacket)
        if known is not None and "conv" in func.name():
            self.rest += known(*args, **(kwargs or {}), out_val=out)
        elif known is not None:
            self.products += known(*args, **(kwargs or {}), out_val=out)
        elif "flash_attention_for_cpu" in str(func):
            self.products += attention(func, args)
        return out

    def _wrote(self, t: Tensor) -> Tensor:
        self.rest += t.numel()
        return t


def attention(func: Any, args: tuple[Any, ...]) -> float:
    """Of torch's fused attention: two products forward, five backward, half of each where it is causal."""
    names = [argument.name for argument in func._schema.arguments]
    told = dict(zip(names, args, strict=False))
    q, k = told["query"], told["key"]
    times = 10.0 if "backward" in str(func) else 4.0
    return times / (1 + told.get("is_causal", False)) * q.numel() * k.shape[2]


def cost(case: SequenceCase) -> float:
    """Work grows with the length by the declared exponent. Counted, not timed."""
    says = case.declared()
    assert says.cost is not None
    found = _work(case)
    if found[-1][1] == 0:
        return 0.0  # does nothing
    exponent = growth(found)
    lengths = " -> ".join(str(n) for n, _ in found)
    held(
        abs(exponent - says.cost) <= NEAR_COST,
        f"declares cost = {says.cost}, measured {exponent:.2f} at {lengths} tokens",
    )
    return abs(exponent - says.cost)


def growth(found: list[tuple[int, float]]) -> float:
    """The exponent of the fastest term of work a·T + b·T^c at three lengths of one ratio r: what is linear is taken out first.

    W(rT) − r W(T) = b (r^c − r) T^c, whose ratio at two lengths is r^c.
    """
    (n1, w1), (n2, w2), (_, w3) = found
    ratio = n2 / n1
    first, last = w2 - ratio * w1, w3 - ratio * w2
    if first <= 0 or last < 0.02 * w3:
        return math.log(w3 / w2) / math.log(ratio)
    return math.log(last / first) / math.log(ratio)


def _work(case: SequenceCase) -> list[tuple[int, float]]:
    says, found = case.declared(), list[tuple[int, float]]()
    for scale in (1, 2, 4):
        at = case
        if says.dims:
            side = {1: (128,), 2: (12, 12), 3: (4, 4, 4)}[2 if 2 in says.dims else says.dims[0]]
            spot = Spot(math.prod(side) * scale ** len(side), tuple(scale * n for n in side))
        else:
            spot = Spot(128 * scale)
        if says.length is not None:
            longer = {k: resized(v, says.length, spot.length, k) for k, v in case.subject.tiny.items()}
            at = SequenceCase(dataclasses.replace(case.subject, tiny=longer))
        module = at.build(0, torch.float32)
        x, ctx = at.world(spot, 0, rows=1, dtype=torch.float32)
        with torch.no_grad(), Work() as work:
            at.run(module, x, ctx)
        found.append((spot.length, work.total))
    return found


def resized(value: Any, old: int, new: int, name: str) -> Any:
    """An argument with every `length` = old inside it made new."""
    if name == "length" and value == old:
        return new
    if isinstance(value, Part):
        this = cast("Part[Any]", value)
        return dataclasses.replace(this, kw=tuple((k, resized(v, old, new, k)) for k, v in this.kw))
    if isinstance(value, tuple):
        return tuple(resized(v, old, new, name) for v in cast("tuple[Any, ...]", value))
    return value


def costed(case: SequenceCase) -> bool:
    says = case.declared()
    fixed = "grid" in case.subject.tiny  # built for one grid: nothing can grow
    return says.cost is not None and not fixed and (says.length is None or "length" in case.subject.tiny)


LAWS = (
    Law(name="cost", contract="sequence", catches="a cost that is not the declared one", check=cost, applies=costed),
)
