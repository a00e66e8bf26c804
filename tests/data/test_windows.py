from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from sequary.data.panel import Panel
from sequary.data.scaling import Scaler, moments
from sequary.data.windows import Bank, Windows
from tests.tasks.panels import panel


def unscaled(p: Panel):
    """A scaler that leaves the values of a panel as they are."""
    width = len(p.channels)
    return dataclasses.replace(Scaler.fit(p), values={s.id: (np.zeros(width), np.ones(width)) for s in p.series})


def windows(p: Panel, *, context: int, horizon: int, first: Sequence[int], last: Sequence[int], stride: int = 1):
    bank = Bank.of(p, unscaled(p), before=context, after=horizon)
    ends = np.array(last)
    return Windows.between(bank, context=context, horizon=horizon, first=np.array(first), last=ends, stride=stride)


def test_every_window_holds_the_rows_around_its_origin():
    p = panel(np.arange(10.0), np.arange(100.0, 108.0))
    w = windows(p, context=3, horizon=2, first=[3, 3], last=[8, 6])
    assert len(w) == 6 + 4
    batch = w.batch(torch.tensor([0, 5, 9]))
    assert batch.values[:, :, 0].tolist() == [[0, 1, 2], [5, 6, 7], [103, 104, 105]]
    assert batch.target is not None
    assert batch.target[:, :, 0].tolist() == [[3, 4], [8, 9], [106, 107]]
    assert batch.observed is None
    assert batch.weight is None


def test_a_short_history_is_padded_on_the_left_and_never_sees_the_series_before():
    p = panel(np.full(6, 7.0), np.arange(1.0, 7.0))
    w = windows(p, context=4, horizon=1, first=[4, 1], last=[3, 2])
    batch = w.batch(torch.arange(len(w)))
    assert batch.observed is not None
    assert batch.values[:, :, 0].tolist() == [[0, 0, 0, 1], [0, 0, 1, 2]]
    assert batch.observed[:, :, 0].tolist() == [[False, False, False, True], [False, False, True, True]]


def test_a_target_beyond_the_end_weighs_nothing():
    p = panel(np.arange(1.0, 6.0))
    w = windows(p, context=2, horizon=3, first=[4], last=[4])
    batch = w.batch(torch.tensor([0]))
    assert batch.target is not None
    assert batch.weight is not None
    assert batch.target[0, :, 0].tolist() == [5, 0, 0]
    assert batch.weight[0, :, 0].tolist() == [True, False, False]


def test_missing_values_are_masked_by_channel():
    y = np.arange(1.0, 13.0).reshape(6, 2)
    y[2, 1] = np.nan
    batch = windows(panel(y), context=3, horizon=1, first=[3], last=[5]).batch(torch.tensor([0]))
    assert batch.observed is not None
    assert batch.observed[0].tolist() == [[True, True], [True, True], [True, False]]
    assert batch.values[0, 2].tolist() == [5, 0]


def test_windows_without_anything_known_or_asked_are_left_out():
    y = np.array([1.0, 2, 3, np.nan, np.nan, np.nan, 7, 8])
    w = windows(panel(y), context=2, horizon=1, first=[1], last=[7])
    # at 3, 4, 5 there is no target; at 6 nothing is known
    assert (w.first - int(w.bank.starts[0]) + 2).tolist() == [1, 2, 7]


def test_stride_counts_back_from_the_last_origin():
    w = windows(panel(np.arange(20.0)), context=2, horizon=2, first=[4], last=[18], stride=5)
    assert (w.first - int(w.bank.starts[0]) + 2).tolist() == [8, 13, 18]


def test_covariates_come_with_their_windows():
    t = np.arange(8.0)
    p = panel(t, past=t[:, None] + 10, future=np.arange(11.0)[:, None] + 50, static=np.array([3.0]))
    scaler = unscaled(p)
    plain = dataclasses.replace(scaler.past, shift=np.zeros(1), size=np.ones(1))
    scaler = dataclasses.replace(scaler, past=plain, future=plain, static=plain)
    bank = Bank.of(p, scaler, before=2, after=2)
    batch = Windows(bank, context=2, horizon=2, series=np.array([0]), origins=np.array([8])).batch(torch.tensor([0]))
    assert batch.past is not None
    assert batch.future is not None
    assert batch.static is not None
    assert batch.past[0, :, 0].tolist() == [16, 17]
    assert batch.future[0, :, 0].tolist() == [56, 57, 58, 59]
    assert batch.static.tolist() == [[3]]


def test_a_bank_with_too_little_room_is_refused():
    p = panel(np.arange(9.0))
    bank = Bank.of(p, Scaler.fit(p), before=2, after=1)
    with pytest.raises(ValueError, match="context=3, horizon=1 reach beyond the 2 rows before and 1 after"):
        Windows(bank, context=3, horizon=1, series=np.array([0]), origins=np.array([5]))


def test_moments_leave_missing_values_out_and_call_rounding_constant():
    mean, size = moments(np.array([[1.0, 0.1], [3.0, 0.1], [np.nan, 0.1 + 1e-17]]))
    assert mean[0] == 2
    assert size.tolist() == [1, 0]


def test_a_scaler_scales_known_series_as_in_training_and_unseen_ones_by_their_own_history():
    scaler = Scaler.fit(panel(np.array([0.0, 2.0, 4.0])))
    again, other = panel(np.array([100.0, 300.0]), np.array([10.0, 30.0])).series
    assert scaler.of(again)[0].tolist() == [2]
    assert scaler.of(other)[0].tolist() == [20]
    assert scaler.of(other)[1].tolist() == [10]


def test_a_channel_that_never_changed_in_training_is_scaled_by_what_it_is_now():
    scaler = Scaler.fit(panel(np.full(5, 3.0)))
    (moved,) = panel(np.array([4.0, 6.0])).series
    assert [pair.tolist() for pair in scaler.of(moved)] == [[5], [1]]
    (still,) = panel(np.full(4, 9.0)).series
    assert [pair.tolist() for pair in scaler.of(still)] == [[9], [0]]


def test_future_rows_beyond_the_end_do_not_shape_the_scale():
    p = panel(np.arange(4.0), future=np.array([[0.0], [2], [0], [2], [1e9]]))
    assert Scaler.fit(p).future.shift.tolist() == [1]


def test_missing_covariates_become_the_mean_and_unknown_categories_the_last_code():
    p = panel(np.arange(4.0), past=np.array([[1.0, 0], [3, 1], [np.nan, np.nan], [2, 2]]))
    p = dataclasses.replace(p, categories={"p1": ("a", "b")})
    assert Scaler.fit(p).past(p.series[0].past)[2].tolist() == [0, 2]
    assert Scaler.fit(p).past(p.series[0].past)[:, 1].tolist() == [0, 1, 2, 2]


def test_several_known_covariates_stay_in_their_columns():
    t = np.arange(11.0)
    p = panel(t, future=np.stack([t, t + 100], 1))
    bank = Bank.of(p, Scaler.fit(p), before=3, after=2)
    source = Windows.between(bank, context=3, horizon=2, first=np.array([3]), last=np.array([9]))
    batch = source.batch(torch.tensor([0, 4]))
    assert batch.future is not None
    assert batch.future.shape == (2, 5, 2)
    assert torch.allclose(batch.future[..., 0], batch.future[..., 1])
    assert float(batch.future[1, 0, 0]) > float(batch.future[0, 0, 0])
