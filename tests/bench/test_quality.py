"""Layers are compared in hosts of one size, by rates chosen on held-out rows; what is kept is not run again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from sequary.bench import quality
from sequary.bench.host import HIDDEN, host, level, size
from sequary.bench.layers import layers
from sequary.bench.quality import TASKS, causal


@pytest.mark.parametrize("name", ["gpt", "retention", "mamba", "gated-deltanet"])
def test_hosts_are_of_one_size(name: str) -> None:
    (layer,) = layers([name])
    recipe = level(layer, 49)
    assert recipe is not None
    (gpt,) = layers(["gpt"])
    goal = size(host(gpt, HIDDEN), 49)
    assert abs(size(recipe, 49) - goal) <= 0.05 * goal


def test_only_causal_layers_of_any_length_enter() -> None:
    assert [layer.id for layer in causal(["gpt", "linformer", "nat-neighborhood", "gla"])] == ["gpt", "gla"]


def kept(test: float) -> dict[str, Any]:
    runs = {quality.key(rate, 0): {"choose": rate, "test": 0.5} for rate in quality.RATES}
    runs |= {quality.key(1e-2, seed): {"choose": 0.0, "test": test} for seed in (1, 2)}
    return {"facts": {"params": 1000.0, "work": 1.0}, "runs": runs}


def test_the_rate_is_chosen_by_the_first_seed_and_the_rest_is_not_run_again() -> None:
    found = {task: {"a": kept(0.9)} for task in quality.TASKS}
    assert list(quality.first(found, ["a"])) == []
    assert list(quality.later(found, ["a"])) == []
    del found["copying"]["a"]["runs"][quality.key(1e-2, 2)]
    assert list(quality.later(found, ["a"])) == [("a", "copying", 1e-2, 2)]
    assert "76.7 ± 23.1 %" in quality.table({task: {"a": kept(0.9)} for task in TASKS}, ["a"])[2]


def test_figures_of_another_budget_are_not_gone_on_with(tmp_path: Path) -> None:
    other = {"steps": 7, "batch": 32, "hidden": HIDDEN}
    (tmp_path / quality.FILE).write_text(json.dumps({"recall": {"gla": {"budget": other, "runs": {}}}}))
    with pytest.raises(ValueError, match=r"recall of gla is by .*7.* give another --out, or delete it"):
        quality.run(["gla"], tmp_path, 1, lambda line: None)


@pytest.mark.slow
def test_runs_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: dataclasses.replace(task, steps=2, batch=4) for name, task in TASKS.items()}
    monkeypatch.setattr(quality, "TASKS", few)
    monkeypatch.setattr(quality, "SEEDS", (0,))
    monkeypatch.setattr(quality, "side_by_side", InPlace)
    found = quality.run(["gla"], tmp_path, 1, lambda line: None)
    assert set(found["recall"]["gla"]["runs"]) == {quality.key(rate, 0) for rate in quality.RATES}
    assert json.loads((tmp_path / quality.FILE).read_text()) == found


class InPlace:
    """Runs jobs here, so that what the test changed holds."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __enter__(self) -> InPlace:
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, call: Any, *args: Any) -> Any:
        from concurrent.futures import Future

        done: Any = Future()
        done.set_result(call(*args))
        return done
