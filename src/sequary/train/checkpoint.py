"""A run on disk: one safetensors file, whole or as it was before. No pickle."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from sequary.core.files import write_atomic

FORMAT = 1
KEY = "sequary.run"


class CheckpointError(ValueError):
    """A checkpoint that cannot be resumed: one line with the file, what is wrong, and the mend."""


@dataclasses.dataclass(frozen=True, slots=True)
class Checkpoint:
    """`tensors` by section/name (weights, adam, average, best, random, hook0 …) and the plain `facts` beside them."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]
    path: Path

    def section(self, name: str) -> dict[str, Tensor]:
        return {k.removeprefix(f"{name}/"): t for k, t in self.tensors.items() if k.startswith(f"{name}/")}

    def check(self, name: str, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The section, if its names, shapes and types are as `expected`."""
        found = self.section(name)
        missing = [n for n in expected if n not in found]
        extra = [n for n in found if n not in expected]
        if missing or extra:
            what = f"lacks {missing[0]!r}" if missing else f"has an unknown {extra[0]!r}"
            raise self.error(f"holds another model: its section {name!r} {what}")
        for key, want in expected.items():
            tensor = found[key]
            if tensor.shape != want.shape or tensor.dtype != want.dtype:
                raise self.error(
                    f"holds another model: {name}/{key} is {tensor.dtype} {list(tensor.shape)}, "
                    f"expected {want.dtype} {list(want.shape)}"
                )
        return found

    @torch.no_grad()
    def fill(self, name: str, into: Mapping[str, Tensor]) -> None:
        """Copy the section into the live tensors `into`."""
        for key, tensor in self.check(name, into).items():
            into[key].copy_(tensor)

    def error(self, what: str) -> CheckpointError:
        return CheckpointError(f"{self.path} {what}; delete it to start afresh, or choose another folder")


def save(path: Path, sections: Mapping[str, Mapping[str, Tensor]], facts: Mapping[str, Any]) -> None:
    """Write it beside, flush, rename.

    Raises:
        OutputError: no space, a size limit, …; the checkpoint before it is untouched.
    """
    flat = {
        f"{section}/{name}": tensor.detach().cpu().contiguous()
        for section, named in sections.items()
        for name, tensor in named.items()
    }
    header = {KEY: json.dumps({"format": FORMAT, **facts})}
    write_atomic(path, safetensors.torch.save(flat, metadata=header))


def load(path: Path) -> Checkpoint:
    """What `save` wrote.

    Raises:
        CheckpointError: missing, truncated, not a safetensors file, or not a run of this format.
    """
    nothing = Checkpoint({}, {}, path)
    try:
        raw = path.read_bytes()
        tensors = safetensors.torch.load(raw)
    except OSError as error:
        raise nothing.error(f"cannot be read ({error.strerror})") from None
    except SafetensorError as error:
        raise nothing.error(f"is truncated or no safetensors file ({error})") from None
    length = int.from_bytes(raw[:8], "little")
    facts = json.loads(raw[8 : 8 + length]).get("__metadata__", {}).get(KEY)
    if facts is None:
        raise nothing.error("is a safetensors file of something else, not a checkpoint of a run")
    read = json.loads(facts)
    if read["format"] != FORMAT:
        raise nothing.error(f"has format {read['format']}, this version reads {FORMAT}")
    return Checkpoint(tensors, read, path)
