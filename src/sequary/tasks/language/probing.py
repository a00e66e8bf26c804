"""The probe of a system, on a saved language model and a piece of text."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from sequary.backbones.stack import Stack
from sequary.core.catalogue import UnknownSystem, card, files, load
from sequary.core.contracts import Model, Probe
from sequary.core.part import Part
from sequary.core.values import Batch, Reading
from sequary.data.texts import Bytes, read_text
from sequary.tasks.language.fitted import Fitted
from sequary.tasks.language.generation import write
from sequary.tasks.sampling import Sampling
from sequary.train.learning import evaluating
from sequary.train.seeds import derive, forked

LENGTH = 40
"""Bytes that are read, where nothing else is said: as many as can be told apart in a picture."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What a probe found in a model, and in one of the same recipe with fresh weights."""

    system: str
    probe: Probe
    text: bytes
    """What the model read."""
    trained: Reading
    fresh: Reading


def probe(
    fitted: Fitted, system: str, *, data: Bytes | str | Path | None = None, n: int | None = None, seed: int = 0
) -> Probed:
    """The reading of the first `n` bytes of a text (None: of what the model writes), by the first probe of a system's recipe.

    Raises:
        UnknownSystem: there is no such, or it holds no probe.
        ValueError: the model has nothing that the probe reads, or `n` is out of range.
    """
    found = load(system)
    if found.recipe is None or not found.recipe.probes:
        able = [name for name in sorted(files()) if card(name).kind == "analysis"]
        raise UnknownSystem(f"{system} probes no model; {', '.join(able)} do (`sequary systems --kind analysis`)")
    backbone = fitted.recipe.model.get("backbone")
    if not isinstance(backbone, Part) or backbone.cls is not Stack:
        raise ValueError(
            f"probes read a stack of blocks, and this {fitted.recipe.model.name} has none; choose gpt, gla or mamba"
        )
    text = _text(fitted, data, min(LENGTH, fitted.context) if n is None else n, seed)
    chosen, batch = found.recipe.probes[0], Batch(values=torch.tensor([list(text)]))
    with forked(torch.device("cpu")):
        torch.manual_seed(derive(seed, "weights"))
        fresh = fitted.recipe.build()
    trained, other = (_read(chosen, model, batch) for model in (fitted.model, fresh))
    return Probed(system=found.id, probe=chosen, text=text, trained=trained, fresh=other)


def _read(chosen: Probe, model: Model, batch: Batch) -> Reading:
    with evaluating(model):
        return chosen(model, [batch])


def _text(fitted: Fitted, data: Bytes | str | Path | None, n: int, seed: int) -> bytes:
    if not 2 <= n <= fitted.context:
        raise ValueError(f"--n {n}: the model reads from 2 to {fitted.context} bytes")
    if data is None:
        return write(fitted, "\n", n, seed=seed, sampling=Sampling()).raw
    text = (read_text(data, least=1) if isinstance(data, str | Path) else data)[:n].tobytes()
    if len(text) < 2:
        raise ValueError("the text has one byte; give at least two, since a matrix of one tells nothing")
    return text
