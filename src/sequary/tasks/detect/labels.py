"""The column that says which rows are anomalies: it judges, and is never learnt from."""

from __future__ import annotations

import dataclasses

import numpy as np

from sequary.data.errors import DataError
from sequary.data.panel import Panel
from sequary.tasks.detect.alarms import Bools


def parted(panel: Panel, name: str, source: str) -> tuple[Panel, list[Bools]]:
    """The panel without the past covariate `name`, and for each series which steps it marks; empty cells and gaps mark none.

    Raises:
        DataError: it holds something else than 0 and 1.
    """
    at = panel.past.index(name)
    mend = "write 1 where a row is an anomaly, 0 where it is none"
    if name in panel.categories:
        words = ", ".join(map(repr, panel.categories[name][:3]))
        raise DataError(f"the label holds words ({words})", file=source, column=name, mend=mend)
    label = [np.nan_to_num(s.past[:, at]) for s in panel.series]
    odd = next((v for column in label for v in np.unique(column) if v not in (0, 1)), None)
    if odd is not None:
        raise DataError(f"the label holds {odd:g}", file=source, column=name, mend=mend)
    series = tuple(dataclasses.replace(s, past=np.delete(s.past, at, 1)) for s in panel.series)
    past = tuple(n for n in panel.past if n != name)
    return dataclasses.replace(panel, series=series, past=past), [column == 1 for column in label]
