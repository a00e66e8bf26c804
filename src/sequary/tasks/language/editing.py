"""A saved language model changed by the edit of a system, and what that brings: size, speed and error before and after."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from time import process_time
from typing import Any

import torch

from sequary.core.catalogue import UnknownSystem, card, files, load
from sequary.core.contracts import Edit, Model
from sequary.core.part import put
from sequary.core.values import Batch
from sequary.data.texts import Bytes, read_text
from sequary.tasks.language.fitted import Fitted
from sequary.tasks.language.looked import Looked, cut, own
from sequary.tasks.saved import content, save
from sequary.train.learning import evaluating
from sequary.train.seeds import generator

CPU = torch.device("cpu")
ROUNDS = 15


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Of one model."""

    params: int
    bytes: int
    """Of its folder."""
    ms: float
    """CPU time of one window in a forward pass, the least of many calls; both models in turn."""
    bits_per_byte: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """The edited model, as a saved one is, and what the edit brought."""

    system: str
    keep: float | None
    """As asked for; None: the system's own."""
    text: str
    """What both were judged by."""
    before: Measured
    after: Measured
    fitted: Fitted

    @property
    def nothing(self) -> str | None:
        """Why the edit brings nothing, in words; None where it brings something."""
        was, now = self.before, self.after
        if now.params >= was.params:
            return f"no parameter fewer ({was.params:,} before, {now.params:,} after)"
        if now.ms >= was.ms and now.bytes >= was.bytes:
            return f"fewer parameters, but neither faster ({was.ms:.3g} ms a window before, {now.ms:.3g} after) nor smaller on disk"
        return None

    def save(self, folder: str | Path) -> None:
        """As `sequary.load` reads it."""
        save(self.fitted, folder)


def edit(
    fitted: Fitted, system: str, *, keep: float | None = None, data: Bytes | str | Path | None = None, seed: int = 0
) -> Changed:
    """The model after the edits of a system's recipe; the one that comes in stays as it was.

    Args:
        system: an id or alias with edits in its recipe, or a .py file.
        keep: the share that stays, in (0, 1]; None: as the recipe says.
        data: text, or its file; None: text that the model writes.

    Raises:
        UnknownSystem: there is no such, or it holds no edit.
        ValueError: the edit does not fit the model, `keep` is out of range, the text is too short.
    """
    edits = edits_of(system, keep)
    if data is None:
        seen = own(fitted, seed)
    else:
        named = isinstance(data, str | Path)
        seen = cut(read_text(data) if named else data, fitted.context, seed, str(data) if named else "the text")
    model, recipe = fitted.model, fitted.recipe
    for number, one in enumerate(edits):
        try:
            made = one(model, recipe, seen.calibration, generator(CPU, seed, f"edit {number}"))
        except ValueError as error:
            raise ValueError(f"{system} does not fit this model: {error}") from error
        model, recipe = made.model, made.recipe
    params = sum(p.numel() for p in model.parameters())
    story = [*fitted.manifest.get("edits", []), {"system": system, "keep": keep, "seed": seed, "text": seen.words}]
    record = dataclasses.replace(fitted.record, params=params, manifest={**fitted.manifest, "edits": story})
    new = dataclasses.replace(fitted, recipe=recipe, model=model.eval(), record=record)
    before, after = measured((fitted, new), seen)
    return Changed(system=system, keep=keep, text=seen.words, before=before, after=after, fitted=new)


def edits_of(system: str, keep: float | None) -> tuple[Edit, ...]:
    """Those of the recipe, at the share that is asked for."""
    if keep is not None and not 0 < keep <= 1:
        raise ValueError(f"--keep {keep:g}: the share that stays lies above 0 and is at most 1, such as 0.5")
    found = load(system)
    edits = () if found.recipe is None else found.recipe.edits
    if not edits:
        able = [name for name in sorted(files()) if card(name).kind == "compression"]
        raise UnknownSystem(f"{system} edits no model; {', '.join(able)} do (`sequary systems --kind compression`)")
    return edits if keep is None else tuple(_keeping(one, keep, system) for one in edits)


def _keeping(one: Edit, keep: float, system: str) -> Any:
    try:
        return put(one, "keep", keep, system)
    except TypeError:
        raise ValueError(f"--keep says nothing to {system}; leave it out") from None


def measured(models: Sequence[Fitted], seen: Looked) -> list[Measured]:
    """All of them in turn, so that what else the machine does meets them alike."""
    window = seen.calibration[0].map(lambda t: t[:1])
    return [
        Measured(
            params=sum(p.numel() for p in one.model.parameters()),
            bytes=sum(len(raw) for raw in content(one).values()),
            ms=1000 * seconds,
            bits_per_byte=bits(one, seen),
        )
        for one, seconds in zip(models, seconds_of([one.model for one in models], window), strict=True)
    ]


@torch.inference_mode()
def seconds_of(models: Sequence[Model], window: Batch) -> list[float]:
    """CPU seconds of a forward pass of each, in turn; who begins changes, since the second finds the caches otherwise."""
    spent: list[list[float]] = [[] for _ in models]
    for number in range(1 + ROUNDS):
        for place in sorted(range(len(models)), reverse=number % 2 == 1):
            model = models[place]
            with evaluating(model):
                for _ in range(3):
                    began = process_time()
                    model.head(model(window).hidden)
                    spent[place].append(process_time() - began)
    return [min(found[3:]) for found in spent]


def bits(fitted: Fitted, seen: Looked) -> float:
    """Per byte, over all that is judged."""
    costs = [fitted.bits(data, after) for after, data in seen.judged]
    return float(sum(cost.sum() for cost in costs) / sum(map(len, costs)))
