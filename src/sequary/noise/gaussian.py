"""Gaussian diffusion in discrete steps: x_i = √ᾱ_i x_0 + √(1 − ᾱ_i) ε (Ho et al., arXiv 2006.11239; Nichol & Dhariwal, 2102.09672)."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

MOST = 0.999
"""Greatest β of the cosine schedule."""


class Schedule(Protocol):
    def betas(self, count: int) -> Tensor:
        """[count] float64 variances added by each step."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class CosineBetas:
    """ᾱ(u) = cos²((u + 0.008) / 1.008 · π/2), β_i = 1 − ᾱ((i+1)/N) / ᾱ(i/N), at most 0.999 (Nichol & Dhariwal, section 3.2)."""

    def betas(self, count: int) -> Tensor:
        level = [math.cos((i / count + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(count + 1)]
        betas = [min(1 - b / a, MOST) for a, b in itertools.pairwise(level)]
        return torch.tensor(betas, dtype=torch.float64, device="cpu")


@dataclasses.dataclass(frozen=True, slots=True)
class LinearBetas:
    """β from 0.1 / N to 20 / N (Ho et al., section 4, whose N is 1000)."""

    def betas(self, count: int) -> Tensor:
        return torch.linspace(0.1 / count, 20 / count, count, dtype=torch.float64, device="cpu").clamp(max=MOST)


@dataclasses.dataclass(frozen=True, slots=True)
class Steps:
    """Tables of a chain of n steps, each [n] float64. `at` is the number that each step has in the whole chain, as networks know it."""

    at: Tensor
    beta: Tensor
    kept: Tensor
    """ᾱ, the share of the data's variance that is left."""
    kept_before: Tensor
    floor: Tensor
    """log of the posterior's variance β̃; the first step, where it is 0, has the value of the second."""


@dataclasses.dataclass(frozen=True, slots=True)
class Gaussian:
    """`count` steps; t in [0, 1] stands for ⌈t · count⌉ of them: 0 is the data, 1 the last."""

    count: int = 1000
    schedule: Schedule = CosineBetas()

    def chain(self, n: int, device: torch.device | None = None) -> Steps:
        """`n` of the steps, evenly spread, first and last included (one: the first), with variances of their own."""
        return chain(self, n, device or torch.device("cpu"))

    def only(self, numbers: Sequence[int], device: torch.device | None = None) -> Steps:
        """The steps of these numbers."""
        return chain(self, tuple(numbers), device or torch.device("cpu"))

    def corrupt(self, x: Tensor, t: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """(x at time t, ε)."""
        noise = torch.randn(x.shape, generator=rng, device=rng.device, dtype=x.dtype).to(x.device)
        kept = torch.cat((torch.ones(1, dtype=torch.float64, device=x.device), self.chain(self.count, x.device).kept))
        level = kept[(t * self.count).ceil().long()].view(-1, *[1] * (x.dim() - 1))
        return level.sqrt().to(x.dtype) * x + (1 - level).sqrt().to(x.dtype) * noise, noise

    def steps(self, n: int) -> Tensor:
        """[n + 1] times from 1 to 0."""
        return torch.linspace(1, 0, n + 1)


def spread(count: int, n: int) -> list[int]:
    """`n` numbers of 0 … count − 1, evenly; the stride is added up, as in the source, so that roundings agree."""
    if not 1 <= n <= count:
        raise ValueError(f"{n} steps of a chain of {count}; use 1 to {count}")
    stride = (count - 1) / (n - 1) if n > 1 else 1.0
    place, numbers = 0.0, list[int]()
    for _ in range(n):
        numbers.append(round(place))
        place += stride
    return numbers


@functools.lru_cache(maxsize=32)
def chain(noise: Gaussian, kept: int | tuple[int, ...], device: torch.device) -> Steps:
    numbers = spread(noise.count, kept) if isinstance(kept, int) else kept
    at = torch.tensor(numbers, device="cpu")
    whole = (1 - noise.schedule.betas(noise.count)).cumprod(0)[at]
    beta = 1 - whole / torch.cat((whole.new_ones(1), whole[:-1]))
    # Once more, so that beta and ᾱ agree to the last bit: 1/√ᾱ of the last steps magnifies what is lost.
    left = (1 - beta).cumprod(0)
    before = torch.cat((left.new_ones(1), left[:-1]))
    variance = beta * (1 - before) / (1 - left)
    floor = torch.cat((variance[1:2] if len(numbers) > 1 else beta, variance[1:])).log()
    return Steps(*(v.to(device) for v in (at, beta, left, before, floor)))
