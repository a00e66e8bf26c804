"""Classifiers from a table or recordings to a folder and back: masks, scale, what is held out, calibration, floors."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import sequary
from sequary.core.catalogue import load
from sequary.core.part import FromData, part
from sequary.data.errors import DataError
from sequary.data.roles import Columns
from sequary.heads.values import Values
from sequary.tasks.classify import floors
from sequary.tasks.classify.fitted import Fitted, calibrated, softmax
from sequary.tasks.classify.labelled import UNKNOWN, Labelled
from sequary.tasks.classify.reading import read
from sequary.tasks.classify.rows import Rows, binned, scale
from sequary.tasks.classify.task import Saved
from sequary.tasks.classify.train import default_context, held_out, refuses, train
from sequary.tasks.saved import SavedError, save
from sequary.tasks.training import Training
from tests.tasks.classify.gestures import CLASSES, COLUMNS, recorded, small, table


def labelled(count: int = 60, seed: int = 0) -> Labelled:
    return read(table(count, seed), COLUMNS)[0]


@pytest.fixture(scope="module")
def made() -> Fitted:
    return train(small(), labelled(120), Training(seed=0, steps=120))


@pytest.fixture(scope="module")
def saved(made: Fitted, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    folder = tmp_path_factory.mktemp("model") / "m"
    save(made, folder)
    again = sequary.load(folder)
    assert isinstance(again, Saved)
    return again


def test_a_classifier_learns_and_says_the_same_out_of_its_folder(made: Fitted, saved: Saved) -> None:
    new = labelled(60, seed=1)
    p = made.proba(new.bare())
    np.testing.assert_allclose(p.sum(1), 1)
    assert (p.argmax(1) != new.labels).mean() < 0.15
    found = saved.classify(table(60, seed=1))
    assert found.columns == ["id", "label", "p-circle", "p-line", "p-wave"]
    assert found["id"].to_list() == [f"g{i:03}" for i in range(60)]
    assert found["label"].to_list() == [CLASSES[k] for k in p.argmax(1)]
    np.testing.assert_array_equal(found.select("p-circle", "p-line", "p-wave").to_numpy(), p)


def test_a_table_without_labels_and_of_another_kind(saved: Saved, tmp_path: Path) -> None:
    bare = table(9, seed=2).drop("gesture")
    found = saved.classify(bare)
    given = bare.to_pandas()
    assert type(saved.classify(given)).__module__.startswith("pandas")
    assert saved.classify(given)["label"].tolist() == found["label"].to_list()
    bare.write_csv(tmp_path / "new.csv")
    assert saved.classify(tmp_path / "new.csv")["label"].to_list() == found["label"].to_list()
    numbered = bare.with_columns(pl.col("id").str.slice(1).cast(pl.Int64))
    assert saved.classify(numbered).schema["id"] == pl.Int64


def test_other_series_do_not_move_what_is_said_of_one(saved: Saved) -> None:
    new = table(30, seed=3)
    alone = saved.classify(new.filter(pl.col("id") == "g007"))
    together = saved.classify(new).filter(pl.col("id") == "g007")
    np.testing.assert_allclose(alone["p-line"], together["p-line"], atol=1e-6)


def test_padding_is_masked_and_long_series_are_averaged_down() -> None:
    data = labelled()
    pair = scale(data)
    rows = Rows.of(data, pair, 20).batch(torch.arange(len(data)))
    assert rows.observed is not None
    for series, values, seen in zip(data.values, rows.values, rows.observed, strict=True):
        short = min(len(series), 20)
        assert seen[:short].all()
        assert not seen[short:].any()
        assert (values[short:] == 0).all()
    whole = Rows.of(data.take(data.lengths >= 20), pair, 10).batch(torch.arange(3))
    assert whole.observed is None
    x = np.arange(10.0)[:, None]
    np.testing.assert_allclose(binned(x, 5)[:, 0], [0.5, 2.5, 4.5, 6.5, 8.5])
    np.testing.assert_allclose(binned(x, 3)[:, 0], [1.5, 4.5, 7.5])  # steps 0 to 3, 3 to 6, 6 to 9
    x[4:6] = np.nan
    assert np.isnan(binned(x, 5)[2, 0])
    assert binned(x[:2], 4)[:, 0].tolist() == [0, 0, 1, 1]


def test_missing_values_count_nowhere() -> None:
    frame = table(60).with_columns(x=pl.when(pl.col("step") % 3 == 1).then(None).otherwise(pl.col("x")))
    data, _ = read(frame, COLUMNS)
    batch = Rows.of(data, scale(data), 24).batch(torch.arange(4))
    assert batch.observed is not None
    assert not batch.observed[:, 1, 0].any()
    assert batch.observed[:, 1, 1].all()
    assert (batch.values[:, 1, 0] == 0).all()
    for rule in (floors.Majority, floors.Nearest, floors.Linear):
        assert np.isfinite(rule.fit(data).proba(data.bare())).all()


def test_scale_and_context_come_from_what_is_learnt_from() -> None:
    data = labelled()
    held = held_out(data)
    assert 8 <= held.sum() <= 15
    assert set(data.labels[held]) == {0, 1, 2}
    wild = tuple(
        np.full((200, 2), 1e6) + np.arange(200)[:, None] if h else v for h, v in zip(held, data.values, strict=True)
    )
    plain, other = (
        train(small(), d, Training(seed=0, steps=2)) for d in (data, dataclasses.replace(data, values=wild))
    )
    assert plain.context == other.context == default_context(data.take(~held))
    np.testing.assert_array_equal(plain.scale, other.scale)


def test_whole_speakers_are_held_out_where_there_are_several(tmp_path: Path) -> None:
    data, _ = read(recorded(tmp_path), Columns())
    held = held_out(data)
    inside, outside = (set(data.take(rows).groups) for rows in (held, ~held))
    assert len(inside) == 1
    assert not inside & outside
    few = dataclasses.replace(data, groups=tuple("ab"[i % 2] for i in range(len(data))))
    assert set(few.take(held_out(few)).groups) == {"a", "b"}


def test_too_few_series_are_all_learnt_from() -> None:
    data = labelled(12)
    assert not held_out(data).any()
    assert train(small(), data, Training(seed=0, steps=2)).temperature == 1.0


def test_recordings_from_a_file_to_classes(tmp_path: Path) -> None:
    path = recorded(tmp_path, 100)
    data, lines = read(str(path), Columns())
    assert lines[0].endswith("100 recordings, 0.2 minutes at 8,000 samples a second, 5 speakers")
    save(train(small(), data, Training(seed=0, steps=60)), tmp_path / "m")
    model = sequary.load(tmp_path / "m")
    found = model.classify(path)
    assert found.columns == ["recording", "label", "p-0", "p-1", "p-2"]
    assert (found["label"].cast(pl.Int64) != np.arange(100) % 3).mean() < 0.1
    with pytest.raises(DataError, match="fitted on recordings, which this is not"):
        model.classify(table(3))
    with np.load(path) as arrays:
        np.savez(tmp_path / "fast.npz", **{**arrays, "rate": 16_000})
    with pytest.raises(DataError, match="16,000 samples a second, fitted on 8,000"):
        model.classify(tmp_path / "fast.npz")


def test_temperature_is_the_one_that_was_hidden() -> None:
    rng = np.random.default_rng(0)
    true = 2 * rng.normal(size=(4000, 3))
    labels = np.array([rng.choice(3, p=p) for p in softmax(true, 1.0)])
    assert 2.8 < calibrated(3 * true, labels) < 3.2
    right = np.eye(3)[labels]
    assert softmax(right[:10], calibrated(right[:10], labels[:10])).max() < 0.99  # ten are not enough to be certain


def test_floors_have_probabilities_and_know_what_they_should() -> None:
    data, new = labelled(90), labelled(60, seed=1)
    found = {
        rule.__name__: rule.fit(data).proba(new.bare()) for rule in (floors.Majority, floors.Nearest, floors.Linear)
    }
    wrong = {name: (p.argmax(1) != new.labels).mean() for name, p in found.items()}
    for p in found.values():
        np.testing.assert_allclose(p.sum(1), 1)
        assert p.min() > 0
    assert wrong["Majority"] > 0.6
    assert wrong["Nearest"] < 0.2
    assert wrong["Linear"] < 0.2
    shares = floors.Majority.fit(data.take(data.labels != 2)).proba(new.bare())[0]
    np.testing.assert_allclose(shares, [31 / 63, 31 / 63, 1 / 63])


def test_a_neighbour_of_the_own_group_says_nothing_of_the_error() -> None:
    data = labelled(60)
    luck = np.random.default_rng(0).integers(0, 3, 60)
    twice = dataclasses.replace(data, ids=data.ids * 2, values=data.values * 2, labels=np.tile(luck, 2))
    paired = dataclasses.replace(twice, groups=tuple(map(str, range(60))) * 2)
    assert floors.Nearest.fit(twice).wrong < 0.01  # each finds its copy
    assert floors.Nearest.fit(paired).wrong > 0.5


def test_labels_are_read_as_they_are_written() -> None:
    frame = table(12).with_columns(pl.col("gesture").replace_strict(dict(zip(CLASSES, (10, 9, 2), strict=True))))
    assert read(frame, COLUMNS)[0].classes == ("2", "9", "10")
    assert read(frame.with_columns(pl.col("gesture").cast(pl.Float64)), COLUMNS)[0].classes == ("2", "9", "10")
    some = table(12).with_columns(
        pl.when(pl.col("id") < "g003").then(None).otherwise(pl.col("gesture")).alias("gesture")
    )
    blank = some.with_columns(pl.col("gesture").fill_null("  "))
    assert read(blank, COLUMNS)[0].classes == CLASSES
    data, lines = read(some, COLUMNS)
    assert len(data) == 9
    assert "note: 3 series have no class: left out" in lines
    assert (data.bare().labels == UNKNOWN).all()


def changed(**columns: pl.Expr) -> pl.DataFrame:
    return table(12).with_columns(**columns)


ONE, G4 = pl.lit("circle"), pl.col("id") == "g004"
BAD = {
    "row 30, column 'gesture': 'wave' here, but series 'g001' began with another class; give all rows of a series one": (
        changed(gesture=pl.when(pl.int_range(pl.len()) == 30).then(pl.lit("wave")).otherwise("gesture")),
        COLUMNS,
    ),
    "column 'gesture': all series are of one class, 'circle'; give series of two": (changed(gesture=ONE), COLUMNS),
    "class 'odd' has a single series: it cannot be learnt from and judged; give it more": (
        changed(gesture=pl.when(G4).then(pl.lit("odd")).otherwise("gesture")),
        COLUMNS,
    ),
    "no series has a class": (changed(gesture=pl.lit(None, pl.String)), COLUMNS),
    "there is no column 'gestur'; the file has gesture": (table(12), dataclasses.replace(COLUMNS, label="gestur")),
    "no column is named as the class of a series; name it: --label COLUMN": (
        table(12),
        dataclasses.replace(COLUMNS, label=None),
    ),
    "one series cannot teach classes": (table(1), dataclasses.replace(COLUMNS, id=None)),
    "column 'label': the column that tells series apart has this name; rename it": (
        table(12).rename({"id": "label"}),
        dataclasses.replace(COLUMNS, id="label"),
    ),
    "series 'g004' has no value at all; remove it": (
        changed(**{c: pl.when(G4).then(None).otherwise(c) for c in "xy"}),
        COLUMNS,
    ),
}


@pytest.mark.parametrize("told", BAD)
def test_labels_that_teach_nothing_are_refused_with_the_mend(told: str) -> None:
    with pytest.raises(DataError) as error:
        read(*BAD[told])
    assert told in str(error.value)


def test_only_classifiers_of_series_are_taken() -> None:
    recipe = load("tst-mvts").recipe
    assert recipe is not None
    assert refuses(recipe) is None
    for slug, told in {"swin": "something else than series", "saits": "does not learn to classify"}.items():
        other = load(slug).recipe
        assert other is not None
        assert told in str(refuses(other))
    head = recipe.model.get("head").but(head=part(Values, outputs=FromData("classes")))
    assert "a head that tells no classes" in str(refuses(recipe.but(model__head=head)))
    with pytest.raises(ValueError, match="choose a classifier of series"):
        train(recipe.but(stages=recipe.stages[:1]), labelled(), Training(seed=0))
    with pytest.raises(ValueError, match="context=1: one step has no order"):
        train(recipe, labelled(), Training(seed=0, context=1))


def test_a_folder_whose_contract_is_another_model_s_is_refused(saved: Saved, tmp_path: Path) -> None:
    def broken(**changes: object) -> Path:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for file in Path(saved.folder).iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        contract = json.loads((folder / "contract.json").read_text())
        (folder / "contract.json").write_text(json.dumps({**contract, **changes}))
        return folder

    with pytest.raises(SavedError, match="the model tells 3 classes, the contract names 2"):
        sequary.load(broken(classes=["a", "b"]))
    with pytest.raises(SavedError, match="two classes have the same name"):
        sequary.load(broken(classes=["a", "a", "b"]))
    with pytest.raises(SavedError, match="the scale is not that of 2 channels"):
        sequary.load(broken(scale={"shift": [0.0], "size": [1.0]}))
    with pytest.raises(SavedError, match="temperature"):
        sequary.load(broken(temperature=0.0))
