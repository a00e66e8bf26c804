"""What a run was, and what was chosen for it by measuring: written once, replayed by resumes and re-runs.

Same seed, manifest and number of threads: bit-identical weights.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from sequary.core import plain
from sequary.core.files import write_atomic
from sequary.core.recipe import Recipe, Stage
from sequary.train.source import Source

NAME = "manifest.json"
ROWS = 64


class ManifestError(ValueError):
    """The folder holds another run, or its manifest is damaged: one line with the mend."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What measuring decided, and the seconds that decided it."""

    precision: Literal["full", "bfloat16"]
    """Full: the type of the weights throughout. bfloat16: large products under autocast."""
    steps: int
    batch: int
    form: str = ""
    """The form that `ops.forms.form` holds all ops to; empty: each op's own choice."""
    measured: Mapping[str, float] = dataclasses.field(default_factory=dict[str, float])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    format: int
    seed: int
    stage: dict[str, Any]
    recipe: dict[str, Any] | None
    data: str
    """Fingerprint, see `fingerprint`."""
    chosen: Chosen
    threads: int
    device: str
    versions: dict[str, str]

    @property
    def digest(self) -> str:
        """Of what makes the run itself; a checkpoint with another digest is another run's."""
        same = [self.seed, self.stage, self.recipe, self.data, dataclasses.asdict(self.chosen)]
        return hashlib.blake2b(json.dumps(same, sort_keys=True).encode(), digest_size=16).hexdigest()

    def differs(self, now: Manifest) -> list[str]:
        """Why `now` may not be bit-identical to this one, in words."""
        pairs = [("threads", self.threads, now.threads), ("device", self.device, now.device)]
        pairs += [(name, self.versions.get(name), new) for name, new in now.versions.items()]
        return [
            f"begun with {name} {old}, resumed with {name} {new}: results will not be bit-identical"
            for name, old, new in pairs
            if old != new
        ]


def describe(
    stage: Stage, source: Source, chosen: Chosen, *, seed: int, device: torch.device, recipe: Recipe | None
) -> Manifest:
    """The manifest of a run that starts here and now."""
    return Manifest(
        format=1,
        seed=seed,
        stage=plain.dump(stage),
        recipe=None if recipe is None else recipe.to_json(),
        data=fingerprint(source),
        chosen=chosen,
        threads=torch.get_num_threads(),
        device=device.type,
        versions={"sequary": version("sequary"), "torch": torch.__version__, "python": platform.python_version()},
    )


def fingerprint(source: Source) -> str:
    """Of the number of rows and of 64 of them, evenly spread: other data is noticed, a change between them is not."""
    size = len(source)
    batch = source.batch(torch.linspace(0, size - 1, min(size, ROWS)).long())
    digest = hashlib.blake2b(f"{size}".encode(), digest_size=16)

    def add(tensor: Tensor) -> Tensor:
        digest.update(f"{tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return tensor

    batch.map(add)
    return digest.hexdigest()


def write(folder: Path, manifest: Manifest) -> None:
    write_atomic(folder / NAME, json.dumps(dataclasses.asdict(manifest), indent=1) + "\n")


def read(folder: Path) -> Manifest | None:
    """The manifest of the run in `folder`, if there is one.

    Raises:
        ManifestError: it is damaged or no manifest.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        return TypeAdapter(Manifest).validate_json(path.read_bytes(), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ManifestError(
            f"{path} is no manifest of a run ({where + ': ' if where else ''}{first['msg']}); "
            "delete the folder to start afresh, or choose another"
        ) from None


def same_run(folder: Path, old: Manifest, new: Manifest) -> None:
    """Raise if `new` asks for another run than the one that `folder` holds; what was chosen by measuring is not asked."""
    for name in ("seed", "stage", "recipe", "data"):
        was, is_ = getattr(old, name), getattr(new, name)
        if json.dumps(was, sort_keys=True) != json.dumps(is_, sort_keys=True):
            shown = f" ({was} there, {is_} now)" if name in ("seed", "data") else ""
            raise ManifestError(f"{folder} holds a run with another {name}{shown}; choose another folder, or delete it")
