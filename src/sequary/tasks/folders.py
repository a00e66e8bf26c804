"""Folders that are either whole or untouched."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from sequary.core.files import OutputError, explained, write_atomic


def write_folder(folder: Path, content: Mapping[str, bytes | str], *, mark: str) -> None:
    """Write the files into a folder beside, then rename it; an earlier one is replaced only if it holds the file `mark`.

    Raises:
        OutputError: no space, no permission, or something else has that name; what was there before still is.
    """
    check_folder(folder, mark=mark)
    target = Path(os.path.realpath(folder))
    beside, old = (target.with_name(f".{target.name}.{secrets.token_hex(6)}.{end}") for end in ("tmp", "old"))
    try:
        for name, raw in content.items():
            write_atomic(beside / name, raw)
        _swap(beside, target, old)
    except OSError as error:
        raise explained(folder, error) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def check_folder(folder: Path, *, mark: str) -> None:
    """Before long work: whether `folder` could be written. Raises `OutputError` as `write_folder` would."""
    target = Path(os.path.realpath(folder))
    blocker = next((p for p in target.parents if p.exists() and not p.is_dir()), None)
    why = None if blocker is None else f"its parent {blocker} is a file"
    if target.exists() and not (target / mark).is_file() and (not target.is_dir() or any(target.iterdir())):
        why = "it is a folder that holds something else" if target.is_dir() else "a file has that name"
    nearest = next(p for p in (target, *target.parents) if p.exists())
    if why is None and not os.access(nearest, os.W_OK):
        why = "permission denied"
    if why is not None:
        raise OutputError(f"{folder} cannot be written: {why}; choose another place")


def _swap(beside: Path, target: Path, old: Path) -> None:
    if target.exists():
        os.rename(target, old)
    try:
        os.rename(beside, target)
    except OSError:
        if old.exists():
            os.rename(old, target)
        raise
    if os.name != "nt":  # Windows journals renames, and cannot open a folder
        handle = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
