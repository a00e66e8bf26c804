"""Released checkpoints of authors' code: their arguments and weights in, our model, part or function out."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor

from sequary.core.catalogue import UnknownSystem, aliases, files

PICKLES = {".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".npy", ".npz"}


def converter(slug: str) -> ModuleType:
    """`convert/<slug>.py`: its `load` and `replay`."""
    name = aliases().get(slug, slug)
    module = f"sequary.convert.{'_' if name[0].isdigit() else ''}{name.replace('-', '_')}"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        known = "" if name in files() else "; no such system is built"
        raise UnknownSystem(f"{slug} has no converter{known}") from None


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file; a pickle is refused with the way to convert it."""
    if path.suffix in PICKLES:
        raise ValueError(
            f"{path}: a {path.suffix} file can run code when it is opened, so it is not. Where you trust its source, convert it there: "
            f"safetensors.torch.save_file(torch.load({path.name!r}, weights_only=True), {path.stem + '.safetensors'!r})"
        )
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except SafetensorError as error:
        raise ValueError(f"{path}: not a whole safetensors file ({error}); fetch it again") from None


def from_source(
    slug: str, source: str, arguments: Mapping[str, Any], weights: str | Path | Mapping[str, Tensor]
) -> Any:
    """Our model (part, function) with the weights of the authors' class `source` built with `arguments`.

    `weights`: their state dict, or the path of a safetensors file that holds it.
    """
    tensors = weights if isinstance(weights, Mapping) else read_weights(Path(weights))
    load: Callable[..., Any] = converter(slug).load
    try:
        return load(source, arguments, tensors)
    except KeyError as missing:
        raise ValueError(f"{slug}: arguments or weights lack {missing.args[0]!r}, which {source} takes") from None
