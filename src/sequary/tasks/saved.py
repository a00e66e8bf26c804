"""A fitted model as a folder: recipe.json, weights.safetensors, contract.json. Nothing in it can run code."""

from __future__ import annotations

import dataclasses
import json
import platform
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl
import torch
from pydantic import BaseModel, ValidationError

from sequary.core.contracts import Forecasts, Model
from sequary.core.plain import RecipeError
from sequary.core.recipe import Recipe
from sequary.data import frames
from sequary.data.errors import DataError
from sequary.data.tables import understand
from sequary.tasks import language
from sequary.tasks.contract import FORMAT, Contract, TextContract
from sequary.tasks.drift import DriftWarning, drift
from sequary.tasks.fitted import Fitted
from sequary.tasks.folders import write_folder
from sequary.tasks.forecasting import probabilities
from sequary.tasks.forecasts import table
from sequary.tasks.weights import SavedError, packed, unpacked

RECIPE, WEIGHTS, CONTRACT = "recipe.json", "weights.safetensors", "contract.json"


@dataclasses.dataclass(frozen=True, slots=True)
class Saved:
    """A model out of its folder: a forecaster of tables, or a language model of bytes."""

    fitted: Fitted | language.Fitted
    contract: Contract | TextContract
    folder: str

    @property
    def task(self) -> str:
        return self.contract.task

    def predict(self, df: Any, horizon: int | None = None, levels: Sequence[float] | None = None) -> Any:
        """Forecasts of what follows the end of each series, as the same kind of table with the same column names.

        Longer than 40 lines because its checks are the point; each is a call or a line.

        Args:
            df: a dataframe or the path of a table, like that of training: new rows and unseen series are welcome.
            horizon: steps ahead, at most those of training; None: all of them.
            levels: shares of the intervals, which become columns `y-lo-80`, `y-hi-80`; None: those of training.

        Warns:
            DriftWarning: range, frequency, missing share or categories are not those of training.

        Raises:
            DataError: a column is missing, or the table cannot be read in one way only.
        """
        fitted, contract = self.fitted, self.contract
        if not isinstance(fitted, Fitted) or not isinstance(contract, Contract):
            raise SavedError("this is a language model", file=self.folder, mend="use bits_per_byte(data)")
        steps = contract.horizon if horizon is None else horizon
        if not 1 <= steps <= contract.horizon:
            what = f"horizon={steps} is not between 1 and {contract.horizon}, what the model was fitted for"
            raise SavedError(
                what, file=self.folder, mend=f"fit again with --horizon {steps}" if steps > 0 else "ask for 1"
            )
        source = str(df) if isinstance(df, str | Path) else "dataframe"
        frame = _selected(frames.read(df), contract, source)
        panel, _ = understand(
            frame,
            source=source,
            columns=contract.columns(),
            categories=contract.categories,
            frequency=fitted.schema.frequency,
        )
        for finding in drift(contract, frame, panel):
            warnings.warn(finding, DriftWarning, stacklevel=2)
        shares = tuple(contract.levels if levels is None else levels)
        found = fitted.forecast(panel, probabilities(shares))
        return frames.like(df, table(found, panel, shares, steps, named=contract.id is not None))

    def bits_per_byte(self, data: language.Bytes, after: language.Bytes | None = None) -> float:
        """Of a language model: what each byte of `data` costs, read after `after`."""
        if not isinstance(self.fitted, language.Fitted):
            raise SavedError("this is a forecaster of tables", file=self.folder, mend="use predict(df)")
        return self.fitted.bits_per_byte(data, after)


def _selected(frame: pl.DataFrame, contract: Contract, source: str) -> pl.DataFrame:
    """The columns of the contract; others are nobody's business."""
    wanted = contract.columns().names()
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        what = f"column {missing[0]!r}, which the model was fitted with, is missing"
        mend = f"give {', '.join(wanted)}; the table has {', '.join(frame.columns[:12])}"
        raise DataError(what, file=source, mend=mend)
    return frame.select(wanted)


def save(fitted: Fitted | language.Fitted, folder: str | Path) -> None:
    """Write the folder, whole or not at all; an earlier model of that name is replaced at the very end.

    Raises:
        OutputError: it cannot be written, or holds something else than a model.
        RecipeError: the recipe has parts from outside sequary and its entry points, so that it could not be loaded.
    """
    plain = fitted.recipe.to_json()
    Recipe.from_json(plain)
    versions = {"sequary": version("sequary"), "torch": torch.__version__, "python": platform.python_version()}
    own = Contract.of(fitted, versions) if isinstance(fitted, Fitted) else TextContract.of(fitted, versions)
    content: dict[str, bytes | str] = {
        RECIPE: json.dumps(plain, indent=1) + "\n",
        WEIGHTS: packed(fitted.model),
        CONTRACT: own.model_dump_json(indent=1) + "\n",
    }
    write_folder(Path(folder), content, mark=CONTRACT)


def load(folder: str | Path) -> Saved:
    """The model that `save` wrote, or that `sequary fit` or `sequary compare` left.

    Raises:
        SavedError: a file is missing, truncated or foreign, or of a newer format.
        RecipeError: the recipe names code outside sequary and its entry points; it is not imported.
    """
    path = Path(folder)
    if not path.is_dir():
        what = "this is a file, not the folder of a model" if path.exists() else "no such folder"
        raise SavedError(what, file=str(path), mend="name the folder that fit or compare wrote")
    contract = _contract(path / CONTRACT)
    try:
        recipe = Recipe.from_json(_json(path / RECIPE))
        model = unpacked(recipe, path / WEIGHTS)
    except RecipeError as error:
        raise RecipeError(f"{path / RECIPE}: {error}") from None
    assert isinstance(model, Model)
    if isinstance(contract, TextContract):
        text = language.Fitted(recipe=recipe, model=model, context=contract.context, record=contract.record.record())
        return Saved(text, contract, str(path))
    if not isinstance(model, Forecasts):
        raise SavedError("the recipe is no forecaster", file=str(path / RECIPE), mend="copy the whole folder again")
    fitted = Fitted(
        recipe=recipe,
        model=model,
        scaler=contract.scales.scaler(),
        conformal=contract.intervals(),
        native=contract.native,
        context=contract.context,
        horizon=contract.horizon,
        levels=contract.levels,
        schema=contract.schema_(),
        ranges=contract.ranges,
        record=contract.record.record(),
    )
    return Saved(fitted, contract, str(path))


def _json(path: Path) -> Any:
    if not path.is_file():
        mend = "copy the whole folder again, or fit again"
        raise SavedError(f"{path.name} is missing, so this is no folder of a model", file=str(path.parent), mend=mend)
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        what = f"it is truncated, or no JSON ({error})"
        raise SavedError(what, file=str(path), mend="copy the folder again, or fit again") from None


def _contract(path: Path) -> Contract | TextContract:
    data = _json(path)
    known = data if isinstance(data, dict) else {}
    number = known.get("format")
    if isinstance(number, int) and number > FORMAT:
        what = f"it has format {number}, this sequary ({version('sequary')}) reads {FORMAT}"
        raise SavedError(what, file=str(path), mend="upgrade sequary")
    kind: type[BaseModel] = TextContract if known.get("task") == "language model" else Contract
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        what = f"no contract of a model ({where + ': ' if where else ''}{first['msg']})"
        raise SavedError(what, file=str(path), mend="copy the folder again, or fit again") from None
