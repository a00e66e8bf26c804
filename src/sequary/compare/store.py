"""The work folder: every finished run as a file, so that a killed comparison continues where it was.

`work/arguments.json` says which comparison it belongs to (data, arguments, versions), `work/plan.json` what was measured and
planned, `work/<candidate>/<run>.json` what each run found. When all is done the plan moves to `manifest.json` and the folder
goes; the same comparison started again then replays that plan, and gives the same numbers bit for bit.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sequary.core.files import OutputError, explained, write_atomic
from sequary.tasks.folders import check_folder
from sequary.tasks.saved import CONTRACT

MARKS = ("board.json", "work/arguments.json")
"""Files by one of which a folder is known as that of a comparison, ended or stopped."""


def check(out: Path) -> None:
    """Before any work: whether the report could be written there.

    Raises:
        OutputError: its parent is a file, no permission, or it holds something else.
    """
    bare = out.is_dir() and [p.name for p in out.iterdir()] == ["work"] and not any((out / "work").glob("[!.]*"))
    if not bare:  # which is what a comparison leaves that was stopped before it wrote its first file
        check_folder(out, mark=next((mark for mark in MARKS if (out / mark).is_file()), MARKS[0]))


@dataclasses.dataclass(frozen=True, slots=True)
class Store:
    out: Path
    arguments: Mapping[str, Any]

    @property
    def work(self) -> Path:
        return self.out / "work"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else may write there meanwhile; a process that dies lets go.

        Raises:
            OutputError: see `check`; or another comparison is writing there.
        """
        check(self.out)
        file = self.work / ".lock"
        if not file.exists():
            self._write("work/.lock", "")
        lock = FileLock(file)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise OutputError(
                f"{self.out}: another comparison is writing there; wait for its end, or give another --out"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def open(self) -> str | None:
        """Make the folder, which is held, ready; in words what was found there, or None. Work of another comparison is thrown away.

        Raises:
            OutputError: it cannot be written.
        """
        old = _read(self.work / "arguments.json")
        if old is not None and old == _plain(self.arguments):
            done = len(list(self.work.glob("*/*.json")))
            are = "1 run is" if done == 1 else f"{done} runs are"
            return f"continues a comparison that was stopped: {are} done" if done else None
        note = None
        found = [*self.work.glob("[!.]*")]
        if found:
            note = f"{self.work} held another comparison ({_differences(old, _plain(self.arguments))}): started afresh"
        for path in found:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._write("work/arguments.json", json.dumps(_plain(self.arguments), indent=1))
        return note

    def plan(self) -> dict[str, Any] | None:
        """Of this comparison, from the run that was stopped or from one that ended; None: still to be measured."""
        started = _read(self.work / "plan.json")
        if started is not None:
            return started
        ended = _read(self.out / "manifest.json")
        if ended is None or ended.get("arguments") != _plain(self.arguments):
            return None
        return {**ended["plan"], "replayed": True}

    def freeze(self, plan: Mapping[str, Any]) -> None:
        self._write("work/plan.json", json.dumps(plan, indent=1))

    def file(self, candidate: str, run: str) -> Path:
        return self.work / safe(candidate) / f"{run}.json"

    def results(self, candidate: str) -> dict[str, dict[str, Any]]:
        """Run -> what it found, of all that have ended."""
        files = sorted((self.work / safe(candidate)).glob("[!.]*.json"))
        return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}

    def _write(self, name: str, content: str) -> None:
        try:
            write_atomic(self.out / name, content)
        except OutputError as error:  # what lies inside is no concern of who named the folder
            raise explained(self.out, error) from error

    def clear(self, models: Sequence[str]) -> None:
        """Remove those of an earlier comparison."""
        for name in models:
            if (self.out / name / CONTRACT).exists():
                shutil.rmtree(self.out / name)

    def close(self, manifest: Mapping[str, Any]) -> None:
        """All is written: keep the manifest, drop the work."""
        self._write("manifest.json", json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
        shutil.rmtree(self.work)


def safe(name: str) -> str:
    """A candidate's name as that of a folder, no two alike: gla -> gla, ./mine.py -> __mine_py-3f2a91c0."""
    plain = re.sub(r"[^A-Za-z0-9-]", "_", name)
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _read(path: Path) -> dict[str, Any] | None:
    """Of a JSON file; None where there is none, or where it is no JSON object."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError, UnicodeDecodeError):
        return None
    return found if isinstance(found, dict) else None


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(arguments))


def _differences(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> str:
    if old is None:
        return "unreadable"
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    return "; ".join(
        f"{key} {old.get(key)!r}, now {new.get(key)!r}" if key != "data" else "other data" for key in changed
    )
