"""Weights as safetensors, each tensor once however many places share it; a pickle is refused."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from sequary.core.recipe import Recipe
from sequary.data.files import checked
from sequary.tasks.task import SavedError
from sequary.train.seeds import forked

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
CONVERT = "convert it where you trust it: safetensors.torch.save_file(torch.load(FILE, weights_only=True), 'weights.safetensors')"


def packed(model: nn.Module) -> bytes:
    """Of the parameters and persistent buffers."""
    own = {name: t.detach().cpu().contiguous().clone() for name, t in stored(model).items()}
    return safetensors.torch.save(own)


def stored(model: nn.Module) -> dict[str, Tensor]:
    """The tensors under the first of their names."""
    first: dict[int, str] = {}
    named = model.state_dict(keep_vars=True)
    return {name: t for name, t in named.items() if first.setdefault(id(t), name) == name}


def unpacked(recipe: Recipe, path: Path) -> nn.Module:
    """The model of `recipe` with the weights in `path`. Names and shapes are checked before memory is asked for.

    Raises:
        SavedError: the file is missing, truncated, a pickle, or holds another model.
    """
    tensors = _read(path)
    with forked(torch.device("cpu")):
        with torch.device("meta"):
            shapes = stored(_built(recipe, path))
        _check(tensors, shapes, path)
        model = _built(recipe, path)
    with torch.no_grad():
        for name, place in stored(model).items():
            place.copy_(tensors[name])
    return model.eval()


def _built(recipe: Recipe, path: Path) -> nn.Module:
    try:
        return recipe.build()
    except (TypeError, ValueError) as error:
        what = f"the recipe beside it cannot be built ({error})"
        raise SavedError(what, file=str(path), mend="copy the whole folder again, or fit again") from error


def _read(path: Path) -> dict[str, Tensor]:
    others = sorted(p.name for p in path.parent.glob("*") if p.suffix in PICKLES)
    if not path.exists() and others:
        what = f"{others[0]} is a pickle, and a pickle can run code: it is not loaded"
        raise SavedError(what, file=str(path.parent), mend=CONVERT)
    raw = checked(path).read_bytes()
    if raw.startswith((b"PK\x03\x04", b"\x80")) and raw[8:9] != b"{":
        raise SavedError("this is a pickle, and a pickle can run code: it is not loaded", file=str(path), mend=CONVERT)
    try:
        return safetensors.torch.load(raw)
    except SafetensorError as error:
        what = f"the weights are truncated, or no safetensors file ({error})"
        raise SavedError(what, file=str(path), mend="copy the folder again, or fit again") from None


def _check(found: dict[str, Tensor], wanted: dict[str, Tensor], path: Path) -> None:
    missing, extra = [n for n in wanted if n not in found], [n for n in found if n not in wanted]
    mend = "the folder's recipe.json belongs to other weights: copy the whole folder again"
    if missing or extra:
        what = f"lack {missing[0]!r}" if missing else f"hold {extra[0]!r}, which the recipe does not have"
        raise SavedError(f"the weights {what}", file=str(path), mend=mend)
    for name, tensor in found.items():
        want = wanted[name]
        if tensor.shape != want.shape or tensor.dtype != want.dtype:
            what = f"{name!r} is {tensor.dtype} {list(tensor.shape)}, the recipe has {want.dtype} {list(want.shape)}"
            raise SavedError(what, file=str(path), mend=mend)
