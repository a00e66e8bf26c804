"""The matrix of a Mamba layer: exact, on the answer's columns after training, and found where it is not the layer's."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sequary.claims import hidden_matrix
from sequary.claims.experiments import claim_of
from sequary.core.values import Batch, Reading
from sequary.mixers.ssm.mamba import Mamba

SLUG = "mamba-hidden-attention"
SMALL: dict[str, Any] = {
    "train": {
        "dim": 16,
        "model__backbone__depth": 1,
        "stages__0__train__steps": 250,
        "stages__0__train__batch": 32,
        "stages__0__train__lr": 2e-2,
    },
    "length": 10,
    "symbols": 4,
    "tested": 64,
}


def test_a_small_layer_is_exact_and_looks_where_the_answer_is() -> None:
    found = hidden_matrix.trial(SLUG, claim_of(SLUG, SMALL), 0, {})
    assert not found.broken
    assert found.also["error"] < 1e-12
    assert found.baseline >= found.also["mass_equal"] == 0.4
    assert found.system > found.also["mass_untrained"]


def test_the_task_has_its_answer_where_it_says() -> None:
    s = claim_of(SLUG).settings
    rows, needed = hidden_matrix.copies(s, 50, 0, "test")
    assert torch.equal(rows.values.gather(1, needed[:, None])[:, 0], rows.target[:, -1])
    assert bool((rows.values.gather(1, needed[:, None] - 1) == s["symbols"]).all())
    assert bool(((rows.values == s["symbols"]).sum(1) == 2).all())
    assert int(needed.max()) + s["taps"] < s["length"]
    assert int(rows.asked.sum()) == 50


def test_taps_are_those_of_the_recipe() -> None:
    model = hidden_matrix.recipe_of(SLUG, claim_of(SLUG).settings).build()
    (layer,) = (m for m in model.modules() if isinstance(m, Mamba))
    assert layer.conv.get_parameter("weight").shape[-1] == claim_of(SLUG).settings["taps"]


def test_a_matrix_that_is_not_the_layers_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    true = hidden_matrix.both_sides

    def off(model: Any, batch: Batch, reading: Reading) -> tuple[torch.Tensor, torch.Tensor]:
        return true(model, batch, Reading({"channels": reading.tensors["channels"] * (1 + 1e-6)}))

    monkeypatch.setattr(hidden_matrix, "both_sides", off)
    monkeypatch.setattr(hidden_matrix, "LEARNT", 0.0)
    steps = {**SMALL["train"], "stages__0__train__steps": 1}
    found = hidden_matrix.trial(SLUG, claim_of(SLUG, {**SMALL, "train": steps}), 0, {})
    assert "matrix · input is 1.0e-06 from the layer's output" in found.broken


def test_a_task_that_was_not_learnt_is_not_read() -> None:
    steps = {**SMALL["train"], "stages__0__train__steps": 1}
    with pytest.raises(hidden_matrix.NotLearnt, match="train longer"):
        hidden_matrix.trial(SLUG, claim_of(SLUG, {**SMALL, "train": steps}), 0, {})
