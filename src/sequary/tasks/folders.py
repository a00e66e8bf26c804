"""Folders that are either whole or untouched."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from sequary.core.files import OutputError, explained, write_atomic
from sequary.tasks.contract import Contract

CONTRACT = "contract.json"
"""The mark of a model."""
WHOLE = {
    CONTRACT: ("recipe.json", "weights.safetensors"),
    "reading.json": ("report.html", "report.png", "reading.npz"),
}
"""Mark -> what else such a folder may hold to be replaced whole. Folders of other marks are written into, file by file."""


def write_folder(folder: Path, content: Mapping[str, bytes | str], *, mark: str) -> None:
    """Write the files into a folder beside, then rename it; an earlier one is replaced only if it holds the file `mark`,
    and nothing that such a folder does not.

    Raises:
        OutputError: no space, no permission, or something else has that name or is there; what was there before still is.
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
    if target.is_dir():
        why = _kept(target, mark)
    elif target.exists():
        why = "a file has that name"
    nearest = next(p for p in (target, *target.parents) if p.exists())
    if why is None and not os.access(nearest, os.W_OK):
        why = "permission denied"
    if why is not None:
        raise OutputError(f"{folder} cannot be written: {why}; choose another place")


def _kept(target: Path, mark: str) -> str | None:
    """Why a folder is not to be replaced; None where it is empty, or holds what has this mark and nothing else."""
    names = {p.name for p in target.iterdir()}
    if names and (not (target / mark).is_file() or (mark == CONTRACT and not _of_a_model(target / mark))):
        return "it is a folder that holds something else"
    others = sorted(names - {mark, *WHOLE.get(mark, names)})
    named = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    return f"it also holds {named}, which would be lost unless it is moved away" if others else None


def _of_a_model(path: Path) -> bool:
    """Whether it has what every contract has; of a newer format, or an older one that is refused, it is ours all the same."""
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        return False
    return isinstance(found, dict) and {"task", *Contract.model_fields} <= found.keys()


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
