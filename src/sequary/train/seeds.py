"""One seed for a run, and from it independent ones for each purpose."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager

import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A seed for one purpose; other purposes and neighbouring seeds share nothing with it."""
    digest = hashlib.blake2b(repr((seed, *purpose)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(device: torch.device, seed: int, *purpose: str | int) -> torch.Generator:
    return torch.Generator(device).manual_seed(derive(seed, *purpose))


def forked(device: torch.device) -> AbstractContextManager[None]:
    """What is drawn from torch's own generators inside leaves no trace outside."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])
