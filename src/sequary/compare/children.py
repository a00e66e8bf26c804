"""Processes that end with the one that started them: killed, it leaves none behind."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context


def end_with_parent() -> None:
    """Called by a process of its own, which then ends when its parent does."""
    threading.Thread(target=_watch, daemon=True).start()


def side_by_side(workers: int) -> ProcessPoolExecutor:
    """Fresh processes, which share nothing with this one."""
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=end_with_parent)


def _watch() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
