from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path

import pytest
import torch

from sequary.core.contracts import Model
from sequary.core.values import Batch, Loss
from sequary.ops import forms
from sequary.train import budget, manifest
from sequary.train.budget import choose, steps_for
from sequary.train.loop import fit
from sequary.train.manifest import Chosen, ManifestError, fingerprint
from tests.train.tiny import STAGE, Denoise, Rows, same, tiny, weights


def test_it_says_what_the_run_was(tmp_path: Path) -> None:
    done = fit(tiny(), STAGE, Rows(), seed=5, folder=tmp_path)
    written = json.loads((tmp_path / manifest.NAME).read_text())
    assert written["seed"] == 5
    assert written["threads"] == torch.get_num_threads()
    assert written["versions"].keys() == {"sequary", "torch", "python"}
    assert written["data"] == fingerprint(Rows())
    assert written["stage"]["with"]["train"]["with"]["lr"] == 1e-2
    assert written["chosen"] == {"precision": "full", "steps": 40, "batch": 8, "form": "", "measured": {}}
    found = manifest.read(tmp_path)
    assert found is not None
    assert found.chosen == done.chosen


def test_other_data_has_another_fingerprint() -> None:
    found = {fingerprint(Rows(n, seed=s)) for n in (37, 38) for s in (0, 1)}
    assert len(found) == 4
    touched = Rows(37)
    touched.x[36, 3] += 1e-6
    assert fingerprint(touched) != fingerprint(Rows(37))


@pytest.mark.parametrize("what", ["seed", "stage", "data"])
def test_another_run_in_the_same_folder_is_refused(tmp_path: Path, what: str) -> None:
    fit(tiny(), STAGE, Rows(), seed=5, folder=tmp_path)
    before = (tmp_path / manifest.NAME).read_bytes()
    other = dataclasses.replace(STAGE, train=dataclasses.replace(STAGE.train, lr=0.5))
    with pytest.raises(ManifestError, match=f"holds a run with another {what}.*choose another folder, or delete it"):
        fit(
            tiny(),
            other if what == "stage" else STAGE,
            Rows(seed=1) if what == "data" else Rows(),
            seed=6 if what == "seed" else 5,
            folder=tmp_path,
        )
    assert (tmp_path / manifest.NAME).read_bytes() == before


@pytest.mark.parametrize("text", ["", "{", '{"seed": 1}', "[]", '{"format": "one"}'])
def test_a_damaged_manifest_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / manifest.NAME).write_text(text)
    with pytest.raises(ManifestError, match=r"manifest.json is no manifest of a run .*delete the folder") as caught:
        fit(tiny(), STAGE, Rows(), seed=5, folder=tmp_path)
    assert "\n" not in str(caught.value)


def test_what_was_chosen_is_replayed_and_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fit(tiny(), STAGE, Rows(), seed=5, folder=tmp_path / "a", seconds=0.3)
    assert first.chosen.steps == first.steps
    assert first.chosen.measured.keys() == {"full"}

    def again(*_: object, **__: object) -> Chosen:
        raise AssertionError("measured again")

    monkeypatch.setattr("sequary.train.loop.choose", again)
    resumed = fit(tiny(), STAGE, Rows(), seed=5, folder=tmp_path / "a", seconds=0.3)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / manifest.NAME).write_bytes((tmp_path / "a" / manifest.NAME).read_bytes())
    rerun = fit(tiny(), STAGE, Rows(), seed=5, folder=tmp_path / "b")
    given = fit(tiny(), STAGE, Rows(), seed=5, chosen=first.chosen)
    for other in (resumed, rerun, given):
        assert other.chosen == first.chosen
        assert same(weights(other.model), weights(first.model))


@dataclasses.dataclass(frozen=True)
class Formed:
    """Notes the form that an op would run in."""

    seen: set[str] = dataclasses.field(default_factory=set, compare=False)

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        self.seen.add(forms.chosen("own"))
        return Denoise()(model, batch, rng)


def test_the_form_of_the_first_run_is_replayed() -> None:
    objective = Formed()
    stage = dataclasses.replace(STAGE, objective=objective)
    with forms.form("reference"):
        first = fit(tiny(), stage, Rows(), seed=5)
    assert first.chosen.form == "reference"
    assert objective.seen == {"reference"}
    fit(tiny(), stage, Rows(), seed=5, chosen=first.chosen)
    assert objective.seen == {"reference"}
    objective.seen.clear()
    with forms.form("reference"):
        fit(tiny(), stage, Rows(), seed=5, chosen=dataclasses.replace(first.chosen, form=""))
    assert objective.seen == {"own"}


def test_another_thread_count_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fit(tiny(), STAGE, Rows(), seed=5, folder=tmp_path)
    path = tmp_path / manifest.NAME
    old = json.loads(path.read_text())
    now = old["threads"]
    path.write_text(json.dumps({**old, "threads": now + 7}))
    with caplog.at_level(logging.WARNING, logger="sequary.train"):
        done = fit(tiny(), STAGE, Rows(), seed=5, folder=tmp_path)
    words = f"begun with threads {now + 7}, resumed with threads {now}: results will not be bit-identical"
    assert done.notes == (words,)
    assert caplog.messages == [words]


def test_a_precision_that_failed_is_kept_as_infinite(tmp_path: Path) -> None:
    chosen = Chosen(precision="full", steps=3, batch=8, measured={"full": 0.1, "bfloat16": float("inf")})
    fit(tiny(), STAGE, Rows(), seed=5, folder=tmp_path, chosen=chosen)
    found = manifest.read(tmp_path)
    assert found is not None
    assert found.chosen == chosen


def test_a_budget_is_kept() -> None:
    patient = dataclasses.replace(STAGE, train=dataclasses.replace(STAGE.train, patience=None))
    done = fit(tiny(), patient, Rows(), Rows(11, seed=1), seed=5, seconds=1.0)
    # Counted by what was measured, not by the clock: other work may share the machine.
    assert done.chosen.measured.keys() == {"full", "evaluation"}
    per_step = done.chosen.measured["full"] + done.chosen.measured["evaluation"] / patient.train.evaluate_every
    assert done.steps == done.chosen.steps
    assert 0 < done.steps * per_step <= 1.0


def test_steps_for() -> None:
    assert steps_for(10, 0.1) == 100
    assert steps_for(10, 1000) == 1
    assert steps_for(-1, 0.1) == 1


def test_measuring_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "LARGE", 1)  # so that both precisions are tried
    model = tiny()
    before, random = weights(model), torch.get_rng_state()
    chosen = choose(model, STAGE, Rows(), Rows(11), seed=5, seconds=0.5)
    assert chosen.measured.keys() == {"full", "bfloat16", "evaluation"}
    assert same(weights(model), before)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(p.grad is None for p in model.parameters())
