"""`part(Class, **kw)`: a class and its keyword arguments; checked now, built later."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from sequary.core.place import Place

T = TypeVar("T", covariant=True)
U = TypeVar("U")
P = ParamSpec("P")
FROM_PLACE = ("layer", "depth", "memory_dim")


@dataclasses.dataclass(frozen=True, slots=True)
class Unfilled:
    """An argument that only data can give; `bind` fills it."""

    name: str


def FromData(name: str) -> Any:
    """A hole named `name` (channels, horizon, vocab …): `recipe.bind({"channels": 7})` fills it, building before is an error.

    Typed `Any`, since it stands wherever the value itself may stand.
    """
    return Unfilled(name)


@dataclasses.dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """A frozen, hashable, printable promise of a `T`. Made by `part`, which checks the arguments."""

    cls: Callable[..., T]
    kw: tuple[tuple[str, Any], ...]
    tie: str | None = None

    def build(self, place: Place) -> T:
        """The object itself. A tied part is built once for all places of one model that say its name."""
        for name, value in self.kw:
            if isinstance(value, Unfilled):
                raise ValueError(
                    f"{self.name}: {name} comes from the data; bind({{{value.name!r}: …}}) before building"
                )
        if self.tie is None:
            return self._make(place)
        if self.tie not in place.ties:
            place.ties[self.tie] = (self, self._make(place))
        first, made = place.ties[self.tie]
        if first != self:
            raise ValueError(f"two different parts are tied as {self.tie!r}: {first} and {self}")
        return made

    def _make(self, place: Place) -> T:
        kw = dict(self.kw)
        wanted = inspect.signature(self.cls).parameters
        extra: dict[str, Any] = {n: getattr(place, n) for n in FROM_PLACE if n in wanted and n not in kw}
        if "place" in wanted:
            extra["place"] = place
        return self.cls(place.dim, **kw, **extra)

    def but(self, **changes: Any) -> Part[T]:
        """A copy with arguments changed; `blocks__0__mixer__heads=8` reaches inside."""
        kw = dict(self.kw)
        for key, value in changes.items():
            head, _, rest = key.partition("__")
            if rest and head not in kw:
                raise TypeError(_no_such(self.name, head, kw))
            kw[head] = put(kw.get(head), rest, value, f"{self.name}.{head}") if rest else value
        return dataclasses.replace(checked(self.cls, kw), tie=self.tie)

    def get(self, name: str, default: Any = None) -> Any:
        """The argument as it was given to `part`."""
        return dict(self.kw).get(name, default)

    @property
    def name(self) -> str:
        return cast(Any, self.cls).__name__

    def __repr__(self) -> str:
        inner = f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.kw)})"
        return inner if self.tie is None else f"Tied({self.tie!r}, {inner})"


def part(cls: Callable[Concatenate[int, P], U], *args: P.args, **kw: P.kwargs) -> Part[U]:
    """`cls(dim, **kw)`, later. A misspelt or missing argument fails here, where it was written."""
    if args:
        raise TypeError(f"{cast(Any, cls).__name__}: parts take keyword arguments only, got {args!r}")
    return checked(cls, kw)


def Tied(name: str, of: Part[U]) -> Part[U]:
    """`of`, built once for all places of one model that say the same name (ALBERT, looped blocks, shared K/V)."""
    return dataclasses.replace(of, tie=name)


def checked(cls: Callable[..., U], kw: Mapping[str, Any]) -> Part[U]:
    """A `Part` whose arguments fit the signature of `cls`."""
    try:
        inspect.signature(cls).bind(0, **kw)
    except TypeError as error:
        known = [n for n in list(inspect.signature(cls).parameters)[1:] if n not in (*FROM_PLACE, "place")]
        wrong = next((name for name in kw if name not in known), "")
        near = difflib.get_close_matches(wrong, known, n=1)
        takes = f"it takes {', '.join(known) or 'none'}" + (f"; did you mean {near[0]}?" if near else "")
        raise TypeError(f"{cast(Any, cls).__name__}: {error}; {takes}") from None
    made = Part(cls, tuple(sorted(kw.items())))
    try:
        hash(made)
    except TypeError as error:
        raise TypeError(
            f"{made.name}: arguments must be frozen values ({error}); use tuples, not lists or dicts"
        ) from None
    return made


def put(inside: Any, path: str, value: Any, where: str) -> Any:
    """`inside` with the argument at `path` ("0__mixer__heads") replaced; for parts, tuples and frozen dataclasses."""
    head, _, rest = path.partition("__")
    if isinstance(inside, Part):
        return cast("Part[Any]", inside).but(**{path: value})
    if isinstance(inside, tuple) and head.isdigit() and int(head) < len(cast("tuple[Any, ...]", inside)):
        items = list(cast("tuple[Any, ...]", inside))
        items[int(head)] = put(items[int(head)], rest, value, f"{where}[{head}]") if rest else value
        return tuple(items)
    policy = cast(Any, inside)
    if head in getattr(policy, "__dataclass_fields__", {}):
        new = put(getattr(policy, head), rest, value, f"{where}.{head}") if rest else value
        return dataclasses.replace(policy, **{head: new})
    items = range(len(cast("tuple[Any, ...]", inside))) if isinstance(inside, tuple) else ()
    names = [*getattr(policy, "__dataclass_fields__", ()), *map(str, items)]
    raise TypeError(_no_such(f"{where} ({type(policy).__name__})", head, names))


def _no_such(where: str, name: str, known: Iterable[str]) -> str:
    """One line for a name that is not there, with the nearest that are, or all."""
    known = list(known)
    near = " or ".join(difflib.get_close_matches(name, known, n=3))
    has = f"did you mean {near}?" if near else f"it has {', '.join(known) or 'nothing to change'}"
    return f"{where} has no {name!r}; {has}"


def bind(value: Any, spec: Mapping[str, Any]) -> Any:
    """`value` with every `FromData(name)` that `spec` knows filled, however deep."""
    if isinstance(value, Unfilled):
        return spec.get(value.name, value)
    if isinstance(value, Part):
        this = cast("Part[Any]", value)
        return dataclasses.replace(this, kw=tuple((k, bind(v, spec)) for k, v in this.kw))
    if isinstance(value, tuple):
        return tuple(bind(v, spec) for v in cast("tuple[Any, ...]", value))
    fields: Any = getattr(value, "__dataclass_fields__", None)
    if fields and not isinstance(value, type):
        return dataclasses.replace(
            value, **{f.name: bind(getattr(value, f.name), spec) for f in dataclasses.fields(value) if f.init}
        )
    return value
