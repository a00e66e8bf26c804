"""One member, ready for the laws: how it is built tiny, what it is given, and what comes out, by contract."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from sequary.core.contracts import Head, Model, Tokens
from sequary.core.ctx import Ctx, Memory
from sequary.core.part import part
from sequary.core.place import Place
from sequary.core.values import Batch, Level, Scale
from sequary.laws.members import Subject
from sequary.laws.toys import toy_of
from sequary.tokens.series import SeriesTokens

DIM = 16
MEMORY_DIM = 12
GRIDS: Mapping[int, tuple[tuple[int, ...], ...]] = {1: ((6,), (9,)), 2: ((4, 4), (3, 4)), 3: ((2, 4, 2), (2, 3, 2))}


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Unit-normal, from a generator of its own."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@dataclasses.dataclass(frozen=True)
class Case:
    """A subject with the two things that the laws for all modules need: arguments for a seed, and a call."""

    subject: Subject

    @property
    def dim(self) -> int:
        return int(self.subject.toy.get("dim", DIM))

    @property
    def memory_dim(self) -> int:
        """12 where the constructor can hear of it, else the width itself."""
        wanted = inspect.signature(self.subject.cls).parameters
        return MEMORY_DIM if {"memory_dim", "place"} & wanted.keys() else self.dim

    def fresh(self, seed: int = 0) -> nn.Module:
        """As the constructor makes it; torch's own generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made = part(self.subject.cls, **self.subject.tiny)
            return made.build(Place(self.dim, layer=0, depth=2, memory_dim=self.memory_dim))

    def build(self, seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Module:
        """In eval mode, every learnt value moved a little: what starts at zero hides nothing."""
        module = self.fresh(seed).to(dtype).eval()
        with torch.no_grad():
            for n, p in enumerate(q for q in module.parameters() if q.requires_grad):
                if p.is_floating_point() or p.is_complex():
                    p.add_(normal(*p.shape, seed=1000 * seed + n).to(p.dtype), alpha=0.1)
        return module

    def args(self, module: nn.Module, seed: int, dtype: torch.dtype = torch.float64) -> tuple[Any, ...]:
        raise NotImplementedError

    def call(self, module: nn.Module, *args: Any) -> tuple[Tensor, ...]:
        """Every tensor that comes out."""
        raise NotImplementedError


def cast_to(value: Any, dtype: torch.dtype | None = None, device: str | None = None) -> Any:
    """Floating tensors in `dtype`, all tensors on `device`, however deep."""
    return each(value, lambda t: t.to(device=device, dtype=dtype if t.is_floating_point() else None))


def each(value: Any, fn: Callable[[Tensor], Tensor]) -> Any:
    """`fn` over every tensor of a tensor, tuple, Ctx, Memory, Batch …"""
    if isinstance(value, Tensor):
        return fn(value)
    if isinstance(value, tuple):
        return tuple(each(v, fn) for v in cast("tuple[Any, ...]", value))
    if isinstance(value, Ctx | Memory | Batch | Level | Scale):
        return dataclasses.replace(
            value, **{f.name: each(getattr(value, f.name), fn) for f in dataclasses.fields(value)}
        )
    return value


class HeadCase(Case):
    """hidden [3, 2, N, D] -> parameters; N is `tokens` or `patches` of tiny, the leading axes `toy["lead"]` if they are others."""

    def args(self, module: nn.Module, seed: int, dtype: torch.dtype = torch.float64) -> tuple[Any, ...]:
        tiny = self.subject.tiny
        lead = self.subject.toy.get("lead", (3, 2, tiny.get("tokens", tiny.get("patches", 1))))
        return (normal(*lead, self.dim, seed=seed, dtype=dtype),)

    def call(self, module: nn.Module, *args: Any) -> tuple[Tensor, ...]:
        assert isinstance(module, Head)
        return tensors(module(*args))

    def target(self, module: Head, hidden: Tensor, seed: int) -> Tensor:
        """Something that the head can predict: `toy["target"](hidden, seed)`, or a draw where it samples, or near its mean or median."""
        make = self.subject.toy.get("target")
        if make is not None:
            return make(hidden, seed)
        rng = torch.Generator().manual_seed(seed)
        for say in (
            lambda: module.sample(hidden, rng),
            lambda: module.mean(hidden),
            lambda: module.quantiles(hidden, (0.5,))[..., 0],
        ):
            try:
                found = say().detach()
            except NotImplementedError:
                continue
            return found + normal(*found.shape, seed=seed, dtype=found.dtype) if found.is_floating_point() else found
        raise NotImplementedError(f"{self.subject.name} has no sample, no mean and no quantiles")


class WindowsCase(Case):
    """values [3, 12, 2] with a third missing -> scaled values and their scale."""

    def args(self, module: nn.Module, seed: int, dtype: torch.dtype = torch.float64) -> tuple[Any, ...]:
        observed = normal(3, 12, 2, seed=seed + 100) > -0.4
        return normal(3, 12, 2, seed=seed, dtype=dtype) * observed, observed

    def call(self, module: nn.Module, *args: Any) -> tuple[Tensor, ...]:
        scaled, scale = module(*args)
        return scaled, scale.shift, scale.size


class SeriesCase(Case):
    """Scaled windows [3, L, 2], L = `context` of tiny or dim -> tokens [B, C, N, D]."""

    def args(self, module: nn.Module, seed: int, dtype: torch.dtype = torch.float64) -> tuple[Any, ...]:
        values = normal(3, int(self.subject.tiny.get("context", self.dim)), 2, seed=seed, dtype=dtype)
        make = self.subject.toy.get("batch")
        return values, Batch(values=values) if make is None else cast_to(make(values), dtype), Ctx()

    def call(self, module: nn.Module, *args: Any) -> tuple[Tensor, ...]:
        assert isinstance(module, SeriesTokens)
        x, _ = module.fold(*args)
        return (module.unfold(x, args[1]),)


class TokensCase(Case):
    """values [2, 12, 3], or `toy["values"](seed)` -> tokens -> values."""

    def args(self, module: nn.Module, seed: int, dtype: torch.dtype = torch.float64) -> tuple[Any, ...]:
        make = self.subject.toy.get("values")
        return (normal(2, 12, 3, seed=seed, dtype=dtype) if make is None else cast_to(make(seed), dtype),)

    def call(self, module: nn.Module, *args: Any) -> tuple[Tensor, ...]:
        assert isinstance(module, Tokens)
        tokens = module.encode(*args)
        return tokens, module.decode(tokens)


class ModelCase(Case):
    """A batch of the toy for models of its class, or `toy["batch"](rows, rng)` -> hidden, and what the heads make of it."""

    def args(self, module: nn.Module, seed: int, dtype: torch.dtype = torch.float64) -> tuple[Any, ...]:
        rng, make = torch.Generator().manual_seed(seed), self.subject.toy.get("batch")
        of = part(self.subject.cls, **self.subject.tiny)
        batch = toy_of(self.subject.cls, None).small(of, rng) if make is None else make(3, rng)
        return (cast_to(batch, dtype),)

    def call(self, module: nn.Module, *args: Any) -> tuple[Tensor, ...]:
        assert isinstance(module, Model)
        output = module(*args)
        return output.hidden, *(t for head in module.heads.values() for t in tensors(head(output.hidden)))


class MemberCase(Case):
    """A module of no contract with calls of its own: only what holds for every module is checked."""


class PolicyCase(Case):
    """A frozen dataclass."""

    def make(self) -> Any:
        return self.subject.cls(**self.subject.tiny)


def tensors(value: Any) -> tuple[Tensor, ...]:
    """The tensors of an answer: one, or a tuple of them."""
    return (value,) if isinstance(value, Tensor) else tuple(v for v in value if isinstance(v, Tensor))
