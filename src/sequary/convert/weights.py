"""Authors' weights into our modules: renamed by rules, and nothing left over on either side."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from torch import Tensor, nn

Rule = tuple[str, str | Callable[[re.Match[str]], str]]
M = TypeVar("M", bound=nn.Module)


def renamed(weights: Mapping[str, Tensor], rules: Sequence[Rule], drop: str = r"$^") -> dict[str, Tensor]:
    """Each key rewritten by every rule in turn (regular expression, replacement); keys that match `drop` are left out."""
    made: dict[str, Tensor] = {}
    for key, value in weights.items():
        if re.search(drop, key):
            continue
        name = key
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        if name in made:
            raise ValueError(f"two source tensors become {name!r}; the second is {key!r}")
        made[name] = value
    return made


def fill(module: M, weights: Mapping[str, Tensor]) -> M:
    """`module` in eval mode and the dtype of the weights, with every parameter and buffer taken from them."""
    own = dict(module.state_dict())
    missing, extra = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    missing = [n for n in missing if not n.endswith("num_batches_tracked")]
    if missing or extra:
        raise ValueError(f"weights do not fit: nothing for {missing[:6]}, no place for {extra[:6]}")
    for name, value in weights.items():
        if own[name].shape != value.shape:
            raise ValueError(f"{name}: ours is {tuple(own[name].shape)}, the source's {tuple(value.shape)}")
    floating = next((v.dtype for v in weights.values() if v.is_floating_point()), None)
    module.to(dtype=floating)
    module.load_state_dict(dict(weights), strict=False)
    return module.eval()
