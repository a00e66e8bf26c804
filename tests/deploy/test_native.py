"""Compiled steps: what they write is what the model writes; what cannot be compiled is refused with the reason."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.ctx import Ctx
from sequary.core.part import part
from sequary.core.state import State
from sequary.core.values import Batch
from sequary.decode.beam import Beam
from sequary.decode.choice import Likeliest
from sequary.decode.stepwise import Stepwise
from sequary.deploy import library, native
from sequary.deploy.library import CompileError, Library
from sequary.deploy.native import Native
from sequary.mixers.attention.cache import Cache
from sequary.mixers.attention.causal import CausalAttention

VOCAB = 19
needs_compiler = pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler here")
QUICK = ("gpt", "mamba", "gated-deltanet", "mega", "sparsek", "dynamic-conv")
MORE = (
    *("aft", "chela", "complexformer", "fast-fastmax", "fnetar", "lln-attention", "longvq", "neural-attention"),
    *("routing-transformer", "ssa-pathways", "transnormer", "adaptive-computation-module", "algoformer", "cart"),
    *("cofrgenet", "crrelu", "gtrxl", "memoryformer", "partialformer", "polycom", "pre-crmsnorm", "primer"),
    *("shaped-transformer", "spark-transformer", "agalite", "atlas", "gated-deltanet-2", "gla", "gss", "lightnet"),
    *("linear-transformer", "multires-conv", "kda", "mamba-2", "retention", "extractor", "masformer"),
    *("gated-associative-memory", "blockwise-parallel-decoding"),
)


def tiny(slug: str, **changes: Any) -> Model:
    recipe = load(slug).recipe
    assert recipe is not None
    torch.manual_seed(0)
    return recipe.bind({"vocab": VOCAB}).shrunk().but(**changes).build().eval()


def prompt(rows: int = 2, length: int = 5) -> Batch:
    return Batch(values=torch.randint(VOCAB, (rows, length), generator=torch.Generator().manual_seed(1)))


def written(model: Model, given: Batch) -> Tensor:
    return Stepwise(new=9, choice=Likeliest())(model, given, torch.Generator()).raw


def interpreted(program: torch.export.ExportedProgram, check: Callable[[Library], None]) -> Library:
    """In place of the compiler: what was exported, run by torch."""
    module = program.module()

    def run(given: list[Tensor]) -> list[Tensor]:
        return list(module(*given))

    check(run)
    return run


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "library", interpreted)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Model, Native]]:
    """A model and its native form, really compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        model = tiny("gpt")
        yield model, Native(model, places=32).eval()


@pytest.mark.parametrize("slug", [*QUICK, *(pytest.param(s, marks=pytest.mark.slow) for s in MORE)])
@pytest.mark.usefixtures("uncompiled")
def test_exported_steps_write_what_the_model_writes(slug: str) -> None:
    model, given = tiny(slug), prompt()
    assert torch.equal(written(Native(model, places=14).eval(), given), written(model, given))


@needs_compiler
def test_compiled_steps_write_what_the_model_writes(one: tuple[Model, Native]) -> None:
    model, fast = one
    for rows, length in ((1, 4), (1, 11)):
        assert torch.equal(written(fast, prompt(rows, length)), written(model, prompt(rows, length)))
    kept = list((Path(os.environ["XDG_CACHE_HOME"]) / "sequary").iterdir())
    assert [file.suffix for file in kept] == [".pt2"], "one library for one number of rows, and nothing beside it"
    with torch.no_grad():
        next(model.parameters()).neg_()
    assert torch.equal(written(fast, prompt(1)), written(model, prompt(1))), "the weights are the model's own"


@needs_compiler
@torch.no_grad()
def test_an_older_state_stays_what_it_was(one: tuple[Model, Native]) -> None:
    _, fast = one
    _, state = fast.step(prompt(1).values, fast.init_state(prompt(1)))
    a, b = torch.tensor([[3]]), torch.tensor([[8]])
    first, after_a = fast.step(a, state)
    fast.step(b, state)
    assert torch.equal(fast.step(a, state)[0].hidden, first.hidden)
    _, after_b = fast.step(b, state)
    wanted = fast.step(a, fast.step(a, state)[1])[0].hidden
    assert torch.equal(fast.step(a, after_a)[0].hidden, wanted)
    assert not torch.equal(fast.step(a, after_b)[0].hidden, wanted)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("slug", ["gpt", "mamba"])
@torch.no_grad()
def test_rows_are_dropped_on_the_way_and_longer_steps_follow(slug: str) -> None:
    model, given = tiny(slug), prompt(3).values
    found = list[Tensor]()
    for one in (model, Native(model, places=16).eval()):
        _, state = one.step(given, one.init_state(Batch(values=given)))
        _, state = one.step(given[:, :1], state)
        rows = torch.tensor([0, 2])
        _, state = one.step(given[rows, 1:2], state.select(rows))
        found.append(one.step(given[rows, :3], state)[0].hidden)
    torch.testing.assert_close(found[1], found[0])


@pytest.mark.usefixtures("uncompiled")
def test_beams_go_on_from_chosen_rows() -> None:
    model = tiny("gpt")
    found = [
        Beam(new=6, width=3)(m, prompt(1), torch.Generator()).raw for m in (model, Native(model, places=16).eval())
    ]
    assert torch.equal(*found)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    ("slug", "why"),
    [("combiner", "its state grows"), ("recurrent-transformer", "its state grows"), ("attamba", "decides")],
)
def test_steps_that_cannot_be_compiled_are_refused(slug: str, why: str) -> None:
    with pytest.raises(CompileError, match=f"cannot be compiled: .*{why}"):
        written(Native(tiny(slug), places=32).eval(), prompt())


class Counting(CausalAttention):
    """Takes its cache to be as long as the past."""

    def step(self, x_BtD: Tensor, state: State, ctx: Ctx = Ctx()) -> tuple[Tensor, State]:
        assert isinstance(state, Cache)
        y, longer = super().step(x_BtD, state, ctx)
        return y * state.k.shape[2], longer


@pytest.mark.usefixtures("uncompiled")
def test_a_mixer_that_misreads_its_cache_is_found() -> None:
    model = tiny("gpt", model__backbone__blocks__0__parts__0=part(Counting))
    with pytest.raises(CompileError, match="laid out differs"):
        written(Native(model, places=16).eval(), prompt())


@pytest.mark.usefixtures("uncompiled")
def test_wrong_use_is_refused() -> None:
    fast = Native(tiny("gpt"), places=6).eval()
    with pytest.raises(ValueError, match=r"7 tokens do not fit into places=6"):
        written(fast, prompt())
    with pytest.raises(RuntimeError, match="evaluation mode"):
        written(fast.train(), prompt())


def test_a_folder_that_others_may_write_into_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert library.folder() == tmp_path / "sequary"
    (tmp_path / "sequary").chmod(0o777)
    with pytest.raises(CompileError, match="chmod 700"):
        library.folder()


def test_a_missing_compiler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(CompileError, match=r"g\+\+"):
        written(Native(tiny("gpt"), places=16).eval(), prompt())
