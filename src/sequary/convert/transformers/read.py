"""Checkpoints of transformers: a folder with config.json and safetensors in, our model with the same logits out.

One module of this folder for each class, named by its `model_type`: `load(config, weights) -> Model`.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sequary.convert.declined import Declined
from sequary.convert.source import read_weights
from sequary.core.contracts import Model

HERE = Path(__file__).parent
INDEX, WHOLE = "model.safetensors.index.json", "model.safetensors"


def load_transformers(folder: str | Path) -> Model:
    """The causal language model in `folder`, as `save_pretrained` wrote it, in eval mode and in the dtype of its weights.

    `model.head(model(Batch(values=ids)).hidden)` are its logits. A pickle is never opened; what the class's module does not take is
    `Declined`, by name.
    """
    folder = Path(folder)
    config = read_config(folder / "config.json")
    kind = config.get("model_type")
    known = sorted(path.stem for path in HERE.glob("[!_]*.py") if path.name != "read.py")
    if kind not in known:
        raise Declined(f"{folder / 'config.json'}: model_type={kind!r}; known are {', '.join(known)}")
    load: Callable[[Mapping[str, Any], Mapping[str, Tensor]], Model]
    load = importlib.import_module(f"sequary.convert.transformers.{kind}").load
    try:
        return load(config, read_all(folder))
    except KeyError as missing:
        raise ValueError(f"{folder}: neither config.json nor the weights have {missing.args[0]!r}") from None


def read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file; give the folder that save_pretrained wrote") from None
    except ValueError as error:
        raise ValueError(f"{path}: no JSON ({error}); fetch it again") from None
    if not isinstance(config, dict):
        raise ValueError(f"{path}: holds a {type(config).__name__}, not the settings of a model")
    return config


def read_all(folder: Path) -> dict[str, Tensor]:
    """The tensors of one file, or of the files that an index names."""
    if (folder / WHOLE).exists():
        return read_weights(folder / WHOLE)
    if not (folder / INDEX).exists():
        raise FileNotFoundError(
            f"{folder}: no {WHOLE} and no {INDEX}; weights in pickles are not read: save them anew with safe_serialization=True"
        )
    names = sorted(set(read_config(folder / INDEX)["weight_map"].values()))
    for name in names:
        if Path(name).name != name:
            raise ValueError(f"{folder / INDEX}: names {name!r}, which is not a file of this folder")
    return {key: tensor for name in names for key, tensor in read_weights(folder / name).items()}


def only(config: Mapping[str, Any], **allowed: Any) -> None:
    """Refuse settings other than these (absent counts as allowed)."""
    for name, value in allowed.items():
        if config.get(name, value) != value:
            raise Declined(f"{name}={config[name]!r}: only {value!r} is built")
