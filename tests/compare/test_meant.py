from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sequary.compare.prepare import MEANT


@pytest.mark.parametrize(("arrays", "task"), [(("images", "labels"), "generate"), (("samples", "lengths"), "classify")])
def test_an_archive_is_compared_by_what_it_holds(tmp_path: Path, arrays: tuple[str, ...], task: str):
    first, second = arrays
    np.savez(tmp_path / "a.npz", allow_pickle=False, **{first: np.zeros(3, np.uint8), second: np.zeros(3, np.uint8)})
    assert next(name for name, means in MEANT if means(tmp_path / "a.npz")) == task
