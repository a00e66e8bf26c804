"""Classification as a task: series with classes in, a model that names the class of others out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl
import torch

from sequary.core.contracts import Model
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.data import frames
from sequary.data.recordings import is_recordings
from sequary.data.texts import is_table
from sequary.tasks import task
from sequary.tasks.classify.contract import Contract
from sequary.tasks.classify.fitted import Fitted
from sequary.tasks.classify.reading import read, read_as
from sequary.tasks.classify.train import refuses, train
from sequary.tasks.task import Asked, Tell

__all__ = ["CONTRACT", "DATA", "SAVED", "fit", "reads", "refuses", "reopen"]

DATA = "a table with --label, or recordings (an .npz)"
CONTRACT = Contract


class Saved(task.Saved):
    verbs = ("classify(df)",)
    fitted: Fitted

    def classify(self, df: Any) -> Any:
        """A row for each series: its id, `label`, and in `p-CLASS` the probability of each class, calibrated on held-out series.

        Args:
            df: as in training: a dataframe or the path of a table, or the path of an .npz of recordings. Labels are not looked at.

        Raises:
            DataError: data of another kind, a column is missing, or a series has no value.
        """
        data = read_as(df, self.fitted.form)
        p_NK = self.fitted.proba(data)
        columns = {f"p-{name}": p_NK[:, k] for k, name in enumerate(self.classes)}
        names = [self.classes[k] for k in p_NK.argmax(1)]
        found = pl.DataFrame({self.fitted.form.id: data.ids, "label": names, **columns})
        own = df if isinstance(df, str | Path) else nw.from_native(df).select(self.fitted.form.id).to_native()
        return frames.like(own, found)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.fitted.classes


SAVED = Saved


def reads(path: str) -> bool:
    return is_table(path) or is_recordings(path)


def fit(recipe: Recipe, data: str, asked: Asked, tell: Tell) -> Fitted:
    asked.refuse("classify", horizon="--horizon", levels="--level")
    labelled, lines = read(data, asked.columns)
    for line in lines:
        tell(line)
    return train(recipe, labelled, asked.training(), tell=tell)


def reopen(recipe: Recipe, model: Model, contract: Contract) -> Fitted:
    reason = refuses(recipe)
    if reason is not None:
        raise ValueError(reason)
    fitted = Fitted(
        recipe=recipe, model=model, context=contract.context, record=contract.record.record(), **contract.known()
    )
    _check_shapes(fitted)
    return fitted


def _check_shapes(fitted: Fitted) -> None:
    """The contract and the recipe agree on what comes in and what goes out."""
    blank = torch.zeros(1, fitted.context, len(fitted.form.channels))
    with torch.inference_mode():
        found = fitted.model.eval().head(fitted.model(Batch(values=blank)).hidden)
    if found.shape != (1, len(fitted.classes)):
        raise ValueError(f"the model tells {tuple(found.shape)[-1]} classes, the contract names {len(fitted.classes)}")
