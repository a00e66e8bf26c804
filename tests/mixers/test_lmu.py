"""The Legendre memory: its system is the continuous one held over a step, and it reconstructs the window that it stands for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import cont2discrete

from sequary.mixers.ssm.lmu import LegendreMemory, window_system
from sequary.ops.impulse import impulse


@pytest.mark.parametrize(("memory", "window"), [(1, 4.0), (6, 24.0), (9, 7.5)])
def test_the_system_is_scipys(memory: int, window: float) -> None:
    i, j = np.meshgrid(np.arange(memory), np.arange(memory), indexing="ij")
    rate = (2 * np.arange(memory)[:, None] + 1) / window
    A = rate * np.where(i < j, -1.0, (-1.0) ** (i - j + 1))
    b = rate * (-1.0) ** np.arange(memory)[:, None]
    theirs: Any = cont2discrete((A, b, np.ones((1, memory)), np.zeros((1, 1))), dt=1.0, method="zoh")
    ours = window_system(memory, window)
    np.testing.assert_allclose(ours[0].numpy(), theirs[0], atol=1e-12)
    np.testing.assert_allclose(ours[1].numpy(), theirs[1][:, 0], atol=1e-12)


@pytest.mark.parametrize("length", [1, 2, 7, 33])
def test_the_impulse_is_a_power(length: int) -> None:
    A, b = window_system(5, 9.0)
    found = torch.stack([torch.linalg.matrix_power(A, t) @ b for t in range(length)])
    torch.testing.assert_close(impulse(A, b, length), found)


def test_convolution_and_recurrence_agree_and_the_window_is_kept() -> None:
    torch.manual_seed(0)
    cell, x = LegendreMemory(4, hidden=3, memory=10, window=40).double(), torch.randn(2, 90, 4, dtype=torch.float64)
    A, b = window_system(10, 40)
    cell.A, cell.b = A, b
    m = cell.remember(cell.told(x), x.new_zeros(2, 10), None, None)
    torch.testing.assert_close(cell(x), cell.heard(m, x))
    slow = torch.sin(torch.arange(90, dtype=torch.float64) / 12)[None, :, None]
    now = cell.remember(slow, slow.new_zeros(1, 10), None, None)[0, -1]
    legendre = np.polynomial.legendre.legval(2 * 20 / 40 - 1, now.numpy())  # 20 of 40 steps back
    assert abs(legendre - float(slow[0, 89 - 20, 0])) < 0.05
