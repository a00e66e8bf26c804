"""A model whose steps of one token are native code.

A step of a small model is some hundreds of calls of torch, which take longer than what they compute. Torch's AOTInductor makes one
library of them, without the weights, which stay the model's: compiled once for a recipe, a number of rows and of places.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from sequary.core.contracts import Model
from sequary.core.ctx import Ctx, Tape
from sequary.core.state import State
from sequary.core.values import Batch, Output
from sequary.deploy.held import Bare, End, Held, counts, filled, leaves
from sequary.deploy.library import CompileError, Library, library
from sequary.ops.forms import form


class Native(Model):
    """`model`, its steps of one token compiled; a row may have `places` tokens in all. Decoders take it as they take any other.

    Raises CompileError where a state grows in a way that cannot be laid out beforehand, where the compiled step computes something else
    than the model's, and where there is no compiler.
    """

    def __init__(self, model: Model, *, places: int) -> None:
        super().__init__()
        self.model, self.places, self.heads = model, places, model.heads
        self.training = model.training
        self._compiled: dict[int, tuple[Library, tuple[int, ...]]] = {}

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        return self.model(batch, tape, rng)

    def init_state(self, batch: Batch) -> Held:
        return Held.of(self.model.init_state(batch).fixed(self.places), 0)

    def step(self, values: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Output, Held]:
        assert isinstance(state, Held)
        rows, new = values.shape
        if state.taken + new > self.places:
            raise ValueError(f"{state.taken + new} tokens do not fit into places={self.places}; ask for more")
        plain = all(getattr(ctx, f.name) is None for f in dataclasses.fields(ctx))
        if new == 1 and plain and rows in self._compiled:
            return self._run(values, state)
        inner = state.state()
        if new == 1 and plain:
            self._compiled[rows] = compiled(self.model, values, inner, self.places)
            return self._run(values, state)
        output, longer = self.model.step(values, inner, ctx)
        return output, Held.of(longer, state.taken + new)

    def _run(self, values: Tensor, state: Held) -> tuple[Output, Held]:
        if torch.is_grad_enabled() or self.training:
            raise RuntimeError("compiled steps learn nothing: take them in evaluation mode, under torch.no_grad()")
        run, moves = self._compiled[len(values)]
        own = state.taken == state.end.at
        hidden, *after = run([values, *(state.leaves if own else [t.clone() for t in state.leaves])])
        end = state.end if own else End(state.taken)
        end.at += 1
        return Output(hidden), Held(tuple(after), state.bare, state.taken + 1, end, state.steps + 1, moves)


class Step(nn.Module):
    """What is traced: a token and the tensors of a state -> the hidden state and those of the next that are no longer the same ones."""

    def __init__(self, model: Model, state: State, told: Callable[[list[bool]], None]) -> None:
        super().__init__()
        self.model, self.bare, self.told = model, Bare(state), told

    def forward(self, values: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        counted = iter([0] * len(counts(self.bare.state)))
        with form("reference"):
            output, state = self.model.step(values, filled(self.bare.state, iter(past), counted))
        new = [one is not other for one, other in zip(leaves(state), past, strict=True)]
        self.told(new)
        return output.hidden, *itertools.compress(leaves(state), new)


@torch.no_grad()
def compiled(model: Model, values: Tensor, state: State, places: int) -> tuple[Library, tuple[int, ...]]:
    """The library of a step from states like this one, and by how much it moves what is counted."""
    if values.device.type != "cpu":
        raise CompileError(f"steps are compiled for a CPU, and this model is on {values.device}")
    _same_when_fixed(model, values, places)
    output, after = model.step(values, state)
    for old, new in zip(leaves(state), leaves(after), strict=True):
        if old.shape != new.shape:
            raise _refused(model, f"its state grows, from {tuple(old.shape)} to {tuple(new.shape)}")
    given = (values, *(t.clone() for t in leaves(state)))
    told = list[list[bool]]()
    program = _exported(model, state, given, told.append)

    def whole(loaded: Library) -> Library:
        """Tensors that are written in place are the next ones themselves."""

        def run(given: list[Tensor]) -> list[Tensor]:
            hidden, *found = loaded(given)
            made = iter(found)
            return [hidden, *(next(made) if new else old for old, new in zip(given[1:], told[0], strict=True))]

        return run

    def check(loaded: Library) -> None:
        later = _exported(model, after, given, told.append)
        if program.graph_module.code != later.graph_module.code:
            raise _refused(model, "what it computes depends on how many came before")
        _equal("compiled", whole(loaded)([t.clone() for t in given]), (output.hidden, *leaves(after)))

    moves = tuple(new - old for old, new in zip(counts(state), counts(after), strict=True))
    return whole(library(program, check)), moves


def _same_when_fixed(model: Model, values: Tensor, places: int) -> None:
    """A mixer may lay hands on its cache itself, and would then go wrong where that has places to spare."""
    some = values.expand(-1, min(3, places - 1))
    own = model.init_state(Batch(values=some))
    laid = own.fixed(places)
    for tokens in (some, values):
        (wanted, own), (found, laid) = model.step(tokens, own), model.step(tokens, laid)
        _equal("laid out", (found.hidden,), (wanted.hidden,))


def _equal(how: str, found: Sequence[Tensor], wanted: Sequence[Tensor]) -> None:
    for one, other in zip(found, wanted, strict=True):
        if not torch.allclose(one, other, rtol=1e-3, atol=1e-3):
            by = float((one - other).abs().max())
            raise CompileError(
                f"a step that is {how} differs from the model's own by {by:.1e}; decode this model as it is"
            )


def _exported(
    model: Model, state: State, given: tuple[Tensor, ...], told: Callable[[list[bool]], None]
) -> torch.export.ExportedProgram:
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        # Torch's own, of how it names trees; what it cannot export it prints.
        warnings.simplefilter("ignore", FutureWarning)
        try:
            return torch.export.export(Step(model, state, told).eval(), given, strict=False)
        except GuardOnDataDependentSymNode as reason:
            raise _refused(model, "what it reads decides what is computed") from reason


def _refused(model: Model, why: str) -> CompileError:
    return CompileError(f"the step of this {type(model).__name__} cannot be compiled: {why}; decode it as it is")
