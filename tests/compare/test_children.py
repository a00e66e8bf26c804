"""A killed process leaves none of its workers behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

SCRIPT = """
import os, signal, sys, time
from sequary.compare.children import side_by_side

if __name__ == "__main__":
    with side_by_side(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 600)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_killed_parent_leaves_no_worker(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(SCRIPT)
    out = tmp_path / "out"
    with out.open("w") as file:  # a pipe would stay open as long as the worker holds it
        subprocess.run([sys.executable, str(script)], stdout=file, check=False)
    worker, until = int(out.read_text()), time.monotonic() + 20
    while alive(worker) and time.monotonic() < until:
        time.sleep(0.1)
    assert not alive(worker)
