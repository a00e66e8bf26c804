"""The device that a user names."""

from __future__ import annotations

import torch


class DeviceError(ValueError):
    """No such device here; one line with the mend."""


def device(name: str) -> torch.device:
    """ "cpu", "cuda" (or "cuda:1"), or "auto": a GPU where there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"no device is called {name!r}; use cpu, cuda or auto") from None
    if found.type == "cpu":
        return found
    if found.type != "cuda":
        raise DeviceError(f"device {name!r} is not supported; use cpu, cuda or auto")
    count = torch.cuda.device_count()
    if (found.index or 0) >= count:
        seen = f"{count} GPU{'s' * (count != 1)}" if count else "no GPU"
        raise DeviceError(
            f"device {name!r} does not exist here: torch {torch.__version__} sees {seen}; use cpu or auto"
        )
    return found
