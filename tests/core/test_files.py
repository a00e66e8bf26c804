from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sequary.core import files
from sequary.core.files import OutputError, write_atomic


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_writes_text_and_bytes_and_replaces(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a.txt", "härte\n")
    assert (tmp_path / "a.txt").read_bytes() == "härte\n".encode()
    write_atomic(str(tmp_path / "a.txt"), b"\x00\r\n\xff")
    assert (tmp_path / "a.txt").read_bytes() == b"\x00\r\n\xff"
    assert names(tmp_path) == ["a.txt"]


def test_makes_missing_parents_and_honours_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "x" / "y" / "a", "1")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x" / "y" / "a").stat().st_mode) == 0o640


def test_follows_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_atomic(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_pipe_is_written_in_place(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_atomic(pipe, "through")
    reader.join(timeout=5)
    assert got == [b"through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("below", ["report.html", "deep/report.html"])
def test_parent_is_a_file(tmp_path: Path, below: str) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError) as caught:
        write_atomic(tmp_path / "out" / below, "x")
    message = str(caught.value)
    assert message.startswith(
        f"{tmp_path / 'out' / below} cannot be written: its parent {tmp_path / 'out'} is a file; "
    )
    assert "\n" not in message
    assert (tmp_path / "out").read_text() == "mine"


def test_target_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError, match="a folder has that name; choose another name"):
        write_atomic(tmp_path / "a", "x")
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "no space is left"), (errno.EROFS, "read-only"), (errno.EACCES, "permission denied")],
)
@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_failure_at_any_step_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str, call: str
) -> None:
    target = tmp_path / "board.json"
    target.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, call, fail)
    with pytest.raises(OutputError, match=words) as caught:
        write_atomic(target, "new")
    monkeypatch.undo()
    assert caught.value.errno == code
    assert target.read_text() == "old"
    assert names(tmp_path) == ["board.json"]


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "a", "x")
    assert names(tmp_path) == []


def test_file_size_limit_loses_nothing(tmp_path: Path) -> None:
    """A real RLIMIT_FSIZE in a process of its own: 4 kB are allowed, 64 kB are asked for."""
    pytest.importorskip("resource", reason="RLIMIT_FSIZE exists on POSIX only")
    target = tmp_path / "model.safetensors"
    target.write_bytes(b"precious")
    program = """
import resource, sys
from sequary.core.files import OutputError, write_atomic
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
write_atomic(sys.argv[1] + ".small", b"s" * 4096)
try:
    write_atomic(sys.argv[1], b"x" * 65536)
except OutputError as error:
    print(error)
    sys.exit(3)
"""
    done = subprocess.run([sys.executable, "-c", program, str(target)], capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert done.stdout == (
        f"{target} cannot be written: it would exceed the file size limit; "
        "raise the limit (ulimit -f), or choose another place\n"
    )
    assert target.read_bytes() == b"precious"
    assert names(tmp_path) == ["model.safetensors", "model.safetensors.small"]


def test_readers_never_see_a_half(tmp_path: Path) -> None:
    """While one thread rewrites the file, every read is one of the whole contents."""
    target = tmp_path / "a"
    wholes = {bytes([65 + i]) * 200_000 for i in range(8)}
    write_atomic(target, min(wholes))
    writer = threading.Thread(target=lambda: [write_atomic(target, w) for w in sorted(wholes) * 3])
    writer.start()
    while writer.is_alive():
        assert target.read_bytes() in wholes
    writer.join()
