"""Files that are either whole or untouched.

A process can be killed, a disk can fill up, a size limit can be met at any byte. `write_atomic` writes beside the
target, flushes to the disk, and only then renames: a reader sees the old file or the new one, never half of one.
"""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

_WHY = {
    errno.ENOSPC: ("no space is left on the device", "free some, or choose another place"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, or choose another place"),
    # CPython ignores SIGXFSZ, so that the limit arrives here as an error of write().
    errno.EFBIG: ("it would exceed the file size limit", "raise the limit (ulimit -f), or choose another place"),
    errno.EROFS: ("the file system is read-only", "choose another place"),
    errno.EACCES: ("permission denied", "choose a folder that you may write to"),
    errno.EPERM: ("operation not permitted", "choose a folder that you may write to"),
    errno.EISDIR: ("a folder has that name", "choose another name"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
}


class OutputError(OSError):
    """An output could not be written: one line with path, reason and mend. What was there before still is."""


def write_atomic(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write `content` (a str as UTF-8) to `path`, whole or not at all; missing parent folders are made.

    A symbolic link is followed, a device or a pipe is written in place (there is nothing to keep).

    Raises:
        OutputError: the parent is a file, no space, a size limit, no permission, …; no partial file is left behind.
    """
    target = Path(os.path.realpath(path))
    raw = content.encode() if isinstance(content, str) else content
    try:
        if target.exists() and not target.is_file() and not target.is_dir():
            target.write_bytes(raw)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, raw)
    except OSError as error:
        raise explained(Path(path), error) from error


def _replace(target: Path, raw: bytes) -> None:
    beside = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        # 0o666 less the umask, as any new file; tempfile would make it private.
        _write_synced(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666), raw)
        os.replace(beside, target)
    except BaseException:  # an interrupt too: nothing half-written stays
        beside.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _write_synced(file: int, raw: bytes) -> None:
    try:
        rest = memoryview(raw)
        while rest:  # a write that meets a limit is first cut short, and then fails
            rest = rest[os.write(file, rest) :]
        os.fsync(file)
    finally:
        os.close(file)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable. Windows has no such call, and journals renames."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def explained(path: Path, error: OSError) -> OutputError:
    """One line for an error of the system."""
    blocker = next((p for p in path.parents if p.exists() and not p.is_dir()), None)
    if blocker is not None:
        reason, mend = f"its parent {blocker} is a file", "choose another place, or move that file away"
    else:
        reason, mend = _WHY.get(error.errno or 0, (error.strerror or str(error), "choose another place"))
    line = OutputError(f"{path} cannot be written: {reason}; {mend}")
    line.errno = error.errno
    return line
