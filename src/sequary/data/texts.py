"""A text file as bytes: the data of the language-model task."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sequary.data.errors import DataError
from sequary.data.files import LIMIT, checked

Bytes = NDArray[np.uint8]
TABLES = (".csv", ".tsv", ".tab", ".dat", ".parquet", ".pq", ".arrow", ".feather", ".ipc", ".xlsx", ".xls")
ARRAYS = (".npz", ".npy", ".wav", ".flac", ".png", ".jpg", ".jpeg")


def is_table(path: str | Path) -> bool:
    return Path(path).suffix.lower() in TABLES


def is_text(path: str | Path) -> bool:
    """Whether a path means text (.txt, .md, source code …): whatever the suffix of no table, image or recording claims."""
    return Path(path).suffix.lower() not in (*TABLES, *ARRAYS) and not Path(path).is_dir()


def read_text(path: str | Path, *, least: int = 1000, limit: int = LIMIT) -> Bytes:
    """[N] bytes of the file, any encoding without NUL. Refuses fewer than `least`: nothing could be held out."""
    path = checked(path, limit=limit)
    text = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    if len(text) < least:
        mend = f"at least {least} are needed to train on one part and score on another"
        raise DataError(f"the text has {len(text)} bytes", file=str(path), mend=mend)
    nul = np.flatnonzero(text[: 1 << 20] == 0)
    if len(nul):
        mend = "save it as UTF-8 text (a table: as CSV or Parquet)"
        raise DataError(f"byte {nul[0]} is NUL, so this is no text", file=str(path), mend=mend)
    return text
