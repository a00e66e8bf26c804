"""The checks that any file from outside meets before it is opened."""

from __future__ import annotations

import difflib
from pathlib import Path

from sequary.data.errors import DataError

LIMIT = 4 << 30
"""Bytes; far beyond what fits the main job, small enough not to bring a machine down."""


def checked(path: str | Path, *, limit: int = LIMIT) -> Path:
    """The path of a readable, non-empty regular file of at most `limit` bytes."""
    path = Path(path)
    if path.is_dir():
        inside = ", ".join(sorted(p.name for p in path.iterdir() if p.is_file())[:3])
        mend = f"name one file in it, such as {inside}" if inside else "name a file"
        raise DataError("this is a directory, not a file", file=str(path), mend=mend)
    if not path.exists():
        raise DataError("no such file", file=str(path), mend=_nearest(path))
    if not path.is_file():
        raise DataError("this is not a regular file", file=str(path), mend="save the data to a file first")
    size = path.stat().st_size
    if size == 0:
        raise DataError("the file is empty (0 bytes)", file=str(path), mend="write it again, or name another file")
    if size > limit:
        mend = "pass a larger limit, or keep fewer rows"
        raise DataError(f"{size:,} bytes exceed the limit of {limit:,}", file=str(path), mend=mend)
    return path


def _nearest(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"its folder {str(folder)!r} does not exist either: check the path"
    names = sorted(p.name for p in folder.iterdir() if p.is_file())
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"check the path (folder {str(folder.resolve())!r})"
