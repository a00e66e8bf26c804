from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import json
import pickle
import resource
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import safetensors.torch
import torch

import sequary
from sequary.backbones.stack import BLOCK, Stack
from sequary.builders import language_model
from sequary.core.catalogue import load as system
from sequary.core.files import OutputError
from sequary.core.part import Tied, part
from sequary.core.plain import RecipeError
from sequary.core.recipe import Train
from sequary.data.errors import DataError
from sequary.data.tables import understand
from sequary.tasks.folders import check_folder, write_folder
from sequary.tasks.forecast import train as forecasting
from sequary.tasks.forecast.drift import DriftWarning
from sequary.tasks.forecast.fitted import Fitted
from sequary.tasks.language import train as language
from sequary.tasks.saved import CONTRACT, SavedError, load, save
from sequary.tasks.training import Training

DAYS = [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in range(120)]


def long(ids: Sequence[str] = ("a", "b", "c"), steps: int = 120, *, shop: str = "north", seed: int = 0) -> pl.DataFrame:
    t = np.arange(steps)
    rng = np.random.default_rng(seed)
    parts = [
        pl.DataFrame(
            {
                "unique_id": [name] * steps,
                "ds": DAYS[:steps],
                "y": 20 + 5 * np.sin(2 * np.pi * t / 7) + rng.normal(size=steps),
                "shop": [shop if i % 2 else "south"] * steps,
                "price": rng.uniform(1, 2, steps),
            }
        )
        for i, name in enumerate(ids)
    ]
    return pl.concat(parts)


def wide(steps: int = 120) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    return pl.DataFrame({"date": DAYS[:steps], "sun": rng.normal(size=steps), "rain": rng.normal(10, 2, steps)})


def fitted(frame: pl.DataFrame, name: str = "dlinear", levels: tuple[float, ...] = (0.8, 0.95), **changes: Any):
    recipe = system(name).recipe
    assert recipe is not None
    panel, _ = understand(frame)
    asked = Training(**{"context": 14, "seed": 0, "steps": 10, **changes})
    return forecasting.train(recipe, panel, asked, horizon=7, levels=levels)


def forecaster(path: Path) -> Fitted:
    found = load(path).fitted
    assert isinstance(found, Fitted)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("models") / "long"
    save(fitted(long()), path)
    return path


@pytest.fixture
def copy(folder: Path, tmp_path: Path):
    return shutil.copytree(folder, tmp_path / "model")


def test_a_loaded_model_forecasts_bit_for_bit_as_the_fitted_one(tmp_path: Path):
    for frame, name in ((long(), "dlinear"), (wide(), "itransformer")):
        fit = fitted(frame, name, settings={"dim": 16} if name == "itransformer" else {})
        save(fit, tmp_path / name)
        found = load(tmp_path / name)
        panel, _ = understand(frame)
        levels = forecasting.probabilities((0.5, 0.8))
        for one, two in zip(
            fit.forecast(panel, levels), forecaster(tmp_path / name).forecast(panel, levels), strict=True
        ):
            assert (one.mean == two.mean).all()
            assert all((one.quantiles[p] == two.quantiles[p]).all() for p in levels)
        assert found.fitted.recipe == fit.recipe
        assert found.fitted.params == fit.params
        assert found.fitted.manifest == fit.manifest


def test_the_folder_holds_three_files_and_no_pickle(folder: Path):
    assert sorted(p.name for p in folder.iterdir()) == ["contract.json", "recipe.json", "weights.safetensors"]
    contract = json.loads((folder / "contract.json").read_text())
    assert contract["channels"] == ["y"]
    assert contract["categories"] == {"shop": ["north", "south"]}
    assert contract["frequency"] == {"every": "1d", "season": 7, "day": None}
    assert contract["ranges"]["price"][0] >= 1


@pytest.mark.parametrize("kind", ["polars", "pandas", "pyarrow"])
def test_the_same_kind_of_table_with_the_same_names_comes_back(folder: Path, kind: str):
    frame = long()
    df = {
        "polars": lambda: frame,
        "pandas": lambda: pd.DataFrame(frame.to_dict(as_series=False)),
        "pyarrow": frame.to_arrow,
    }
    given = df[kind]()
    found = sequary.load(folder).predict(given)
    assert type(found) is type(given)
    names = list(found.column_names if kind == "pyarrow" else found.columns)
    assert names == ["unique_id", "ds", "y", "y-lo-80", "y-hi-80", "y-lo-95", "y-hi-95"]
    assert len(found) == 3 * 7


def test_rows_follow_the_end_of_each_series_and_intervals_nest(folder: Path):
    found = load(folder).predict(long(), horizon=3, levels=(0.5, 0.9))
    assert found["ds"].to_list() == [DAYS[-1] + dt.timedelta(days=i) for i in (1, 2, 3)] * 3
    assert found["unique_id"].to_list() == [name for name in "abc" for _ in range(3)]
    ends = [found[name] for name in ("y-lo-90", "y-lo-50", "y", "y-hi-50", "y-hi-90")]
    assert all((a <= b).all() for a, b in itertools.pairwise(ends))


def test_wide_tables_come_back_wide(tmp_path: Path):
    save(fitted(wide(), levels=(0.8,)), tmp_path / "m")
    found = load(tmp_path / "m").predict(wide())
    assert found.columns == ["date", "sun", "rain", "sun-lo-80", "sun-hi-80", "rain-lo-80", "rain-hi-80"]
    assert abs(found["rain"].mean() - 10) < 3


def test_new_rows_unseen_series_and_other_columns_are_welcome(folder: Path):
    frame = long(("a", "z"), 30).with_columns(note=pl.lit("x"))
    found = load(folder).predict(frame)
    assert found["unique_id"].unique(maintain_order=True).to_list() == ["a", "z"]
    assert found["y"].is_finite().all()


def test_integer_ids_stay_integers(tmp_path: Path):
    frame = long().with_columns(pl.col("unique_id").replace_strict({"a": 1, "b": 2, "c": 3}))
    save(fitted(frame), tmp_path / "m")
    found = load(tmp_path / "m").predict(frame)
    assert found["unique_id"].dtype == frame["unique_id"].dtype


def test_data_of_the_same_kind_warn_of_nothing(folder: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(folder).predict(long())


DRIFTS = {
    "'y': 100% of the values lie outside": lambda f: f.with_columns(pl.col("y") * 100),
    "'price': 50% of the values are missing, 0% were": lambda f: f.with_columns(
        price=pl.when(pl.int_range(pl.len()) % 2 == 0).then("price")
    ),
    "rows come every 7 steps of 1d": lambda f: f.filter(pl.col("ds").dt.weekday() == 1),
    "'shop': 'moon' were not in training": lambda f: f.with_columns(shop=pl.lit("moon")),
}


@pytest.mark.parametrize("told", DRIFTS)
def test_drift_is_warned_of(folder: Path, told: str):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = load(folder).predict(DRIFTS[told](long()))
    assert found["y"].is_finite().all()
    assert [w for w in caught if issubclass(w.category, DriftWarning) and told in str(w.message)]


def test_a_missing_column_is_named_with_the_mend(folder: Path):
    with pytest.raises(
        DataError, match="column 'price', which the model was fitted with, is missing; give ds, unique_id"
    ):
        load(folder).predict(long().drop("price"))


def test_a_horizon_beyond_the_fit_is_refused(folder: Path):
    with pytest.raises(SavedError, match=r"horizon=8 is not between 1 and 7.*fit again with --horizon 8"):
        load(folder).predict(long(), horizon=8)
    with pytest.raises(SavedError, match="horizon=0"):
        load(folder).predict(long(), horizon=0)


def test_future_covariates_that_are_not_given_are_told(tmp_path: Path):
    from sequary.data.roles import Columns

    frame = long(("a",)).drop("shop")
    panel, _ = understand(frame, columns=Columns(future=("price",)))
    recipe = system("dlinear").recipe
    assert recipe is not None
    save(forecasting.train(recipe, panel, Training(context=14, seed=0, steps=3), horizon=7), tmp_path / "m")
    with pytest.warns(DriftWarning, match="future covariate 'price': known for 0 of the 7 steps after the end of"):
        load(tmp_path / "m").predict(frame)


def test_tied_tensors_are_stored_once_and_tied_again(tmp_path: Path):
    block = Tied("same", BLOCK)
    recipe = language_model(dim=16, depth=3, blocks=(block,), train=Train(batch=4, steps=3))
    fit = language.train(recipe, np.arange(600, dtype=np.int64).astype(np.uint8), Training(context=16, seed=0))
    save(fit, tmp_path / "m")
    names = safetensors.torch.load_file(tmp_path / "m" / "weights.safetensors")
    assert sum(t.numel() for t in names.values()) == fit.params
    found = load(tmp_path / "m")
    blocks = found.fitted.model.get_submodule("backbone.blocks")
    assert blocks[0] is blocks[2]  # pyright: ignore[reportIndexIssue]
    data = np.arange(100, dtype=np.uint8)
    assert found.bits_per_byte(data) == fit.bits_per_byte(data)
    with pytest.raises(SavedError, match="a model of the task language; use bits_per_byte"):
        found.predict(long())


def test_loading_leaves_torchs_generator_alone(folder: Path):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    load(folder)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", ["contract.json", "recipe.json", "weights.safetensors"])
def test_a_missing_file_is_named(copy: Path, name: str):
    (copy / name).unlink()
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        load(copy)


@pytest.mark.parametrize("name", ["contract.json", "recipe.json", "weights.safetensors"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.98])
def test_a_truncated_file_is_refused(copy: Path, name: str, part: float):
    raw = (copy / name).read_bytes()
    (copy / name).write_bytes(raw[: int(part * len(raw))])
    with pytest.raises(DataError, match=r"truncated|empty|no contract"):
        load(copy)


def test_foreign_weights_are_refused(copy: Path):
    path = copy / "weights.safetensors"
    own = safetensors.torch.load_file(path)
    first = next(iter(own))
    safetensors.torch.save_file({**own, "other": torch.zeros(1)}, path)
    with pytest.raises(SavedError, match="hold 'other', which the recipe does not have"):
        load(copy)
    safetensors.torch.save_file({n: t for n, t in own.items() if n != first}, path)
    with pytest.raises(SavedError, match=f"lack '{first}'"):
        load(copy)
    safetensors.torch.save_file({**own, first: own[first][:-1].contiguous()}, path)
    with pytest.raises(SavedError, match=r"the recipe has torch.float32 \["):
        load(copy)
    safetensors.torch.save_file({**own, first: own[first].double()}, path)
    with pytest.raises(SavedError, match=r"is torch.float64"):
        load(copy)


class Trap:
    def __reduce__(self):
        return print, ("the pickle ran",)


def test_a_pickle_is_refused_and_never_run(copy: Path, capsys: pytest.CaptureFixture[str]):
    path = copy / "weights.safetensors"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(SavedError, match="this is a pickle"):
        load(copy)
    torch.save({"x": torch.zeros(3)}, path)
    with pytest.raises(SavedError, match="this is a pickle"):
        load(copy)
    path.rename(copy / "model.bin")
    with pytest.raises(SavedError, match=r"model.bin is a pickle.*convert it"):
        load(copy)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["os:system", "subprocess:Popen", "heads.points:torch", "core.part.os:system"])
def test_a_recipe_that_names_code_elsewhere_is_refused(copy: Path, name: str):
    path = copy / "recipe.json"
    recipe = json.loads(path.read_text())
    recipe["with"]["model"]["part"] = name
    path.write_text(json.dumps(recipe))
    with pytest.raises(RecipeError, match=r"recipe\.json: recipe\.model"):
        load(copy)


def test_a_recipe_of_absurd_size_asks_for_no_memory(copy: Path):
    path = copy / "recipe.json"
    recipe = json.loads(path.read_text())
    recipe["with"]["dim"] = 10**9
    path.write_text(json.dumps(recipe))
    with pytest.raises(SavedError, match=r"the recipe has torch\.float32"):
        load(copy)


def test_not_a_folder(copy: Path, tmp_path: Path):
    with pytest.raises(SavedError, match="no such folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(SavedError, match="this is a file, not the folder of a model"):
        load(copy / "recipe.json")


def changed(copy: Path, **values: Any):
    path = copy / "contract.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return copy


def test_a_newer_format_asks_for_a_newer_sequary(copy: Path):
    with pytest.raises(SavedError, match=r"has format 2, this sequary \(.*\) reads 1; upgrade sequary"):
        load(changed(copy, format=2))


def test_a_contract_that_does_not_fit_together_is_refused(copy: Path):
    with pytest.raises(SavedError, match="7 conformal steps for horizon=9"):
        load(changed(copy, horizon=9))
    with pytest.raises(SavedError, match="horizon"):
        load(changed(copy, horizon="many"))
    with pytest.raises(SavedError, match="surprise"):
        load(changed(copy, horizon=7, surprise=1))


def test_a_model_whose_intervals_went_by_the_table_that_was_given_is_refused(copy: Path):
    path = copy / "contract.json"
    before = {k: v for k, v in json.loads(path.read_text()).items() if k != "difficulty"}
    path.write_text(json.dumps(before))
    with pytest.raises(SavedError, match=r"an earlier sequary wrote it, .*how much of a table was given.*fit again"):
        load(copy)
    save(fitted(long()), copy)  # it may be fitted again in its place
    path.write_text(json.dumps(before | {"native": True}))  # with quantiles of its own a model needs none
    panel, _ = understand(long())
    assert np.isfinite(forecaster(copy).forecast(panel, ())[0].mean).all()
    with pytest.raises(SavedError, match="the difficulties are not those of 1 channels, all above 0"):
        load(changed(copy, difficulty={name: [0.0] for name in "abc"}))


def test_saving_over_a_model_replaces_it_and_over_anything_else_is_refused(copy: Path, tmp_path: Path):
    before = (copy / "weights.safetensors").read_bytes()
    save(fitted(long(), seed=1), copy)
    assert (copy / "weights.safetensors").read_bytes() != before
    assert [p.name for p in copy.parent.iterdir()] == ["model"]
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(OutputError, match="a folder that holds something else"):
        save(fitted(long()), tmp_path / "home")
    with pytest.raises(OutputError, match="a file has that name"):
        save(fitted(long()), tmp_path / "home" / "letter.txt")
    with pytest.raises(OutputError, match=r"letter.txt is a file"):
        save(fitted(long()), tmp_path / "home" / "letter.txt" / "model")
    assert (tmp_path / "home" / "letter.txt").read_text() == "dear"


def test_what_lies_beside_a_model_is_not_lost(copy: Path):
    (copy / "forecasts.csv").write_text("dear")
    told = "it also holds forecasts.csv, which would be lost unless it is moved away; choose another place"
    with pytest.raises(OutputError, match=told):
        check_folder(copy, mark=CONTRACT)
    with pytest.raises(OutputError, match=told):
        save(fitted(long()), copy)
    assert (copy / "forecasts.csv").read_text() == "dear"
    for name in "bcd":
        (copy / name).mkdir()
    with pytest.raises(OutputError, match="it also holds b, c, d and 1 more, which"):
        check_folder(copy, mark=CONTRACT)


@pytest.mark.parametrize("raw", ["", "{", "[]", '{"format": 1, "task": "forecast"}'])
def test_a_contract_of_something_else_is_left_alone(tmp_path: Path, raw: str):
    (tmp_path / "contract.json").write_text(raw)
    with pytest.raises(OutputError, match="a folder that holds something else"):
        save(fitted(long()), tmp_path)
    assert (tmp_path / "contract.json").read_text() == raw


def test_a_page_is_replaced_and_what_lies_beside_it_is_not_lost(tmp_path: Path):
    write_folder(tmp_path / "p", {"reading.json": "{}", "reading.npz": b"", "report.html": ""}, mark="reading.json")
    write_folder(tmp_path / "p", {"reading.json": "{}", "report.png": b""}, mark="reading.json")
    (tmp_path / "p" / "notes.md").write_text("dear")
    with pytest.raises(OutputError, match=r"it also holds notes\.md"):
        write_folder(tmp_path / "p", {"reading.json": "{}"}, mark="reading.json")


def test_folders_that_are_written_into_may_hold_anything_beside_their_mark(tmp_path: Path):
    for name in ("board.json", "letter.txt"):
        (tmp_path / name).write_text("{}")
    check_folder(tmp_path, mark="board.json")


def test_without_room_the_old_model_stays_whole(copy: Path):
    panel, _ = understand(long())
    kept = forecaster(copy).forecast(panel, ())
    fit = fitted(long(), seed=1, context=56)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(OutputError, match=r"model.*cannot be written: it would exceed the file size limit"):
            save(fit, copy)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (forecaster(copy).forecast(panel, ())[0].mean == kept[0].mean).all()
    assert [p.name for p in copy.parent.iterdir()] == ["model"]


class Foreign(Stack):
    pass


def test_a_model_with_parts_of_the_users_own_is_not_saved_where_it_could_not_be_loaded(tmp_path: Path):
    fit = fitted(long())
    odd = dataclasses.replace(fit, recipe=fit.recipe.but(model__backbone=part(Foreign, depth=0, blocks=())))
    with pytest.raises(RecipeError, match="entry points"):
        save(odd, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_series_on_the_thirtieth_stays_on_it(tmp_path: Path) -> None:
    ends = [dt.date(2020 + m // 12, 1 + m % 12, 30 if m % 12 != 1 else 28 + (m < 12)) for m in range(62)]
    table = pl.DataFrame({"ds": ends, "y": np.sin(np.arange(62.0))})
    recipe: Any = system("nlinear").recipe
    panel, _ = understand(table)
    save(forecasting.train(recipe, panel, Training(context=12, seed=0, steps=2), horizon=3), tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert loaded.predict(table)["ds"].to_list() == [dt.date(2025, 3, 30), dt.date(2025, 4, 30), dt.date(2025, 5, 30)]
