"""Series made to have a property that a claim is about; every value follows from the seed."""

from __future__ import annotations

import numpy as np

from sequary.data.panel import Floats, Frequency, Panel, Series


def table(values_TC: Floats, *, season: int = 1, future: Floats | None = None, names: tuple[str, ...] = ()) -> Panel:
    """One series with C channels on integer time; `future` [T, K] are covariates known beforehand, called `names`."""
    steps = len(values_TC)
    series = Series(
        id="simulated",
        times=np.arange(steps),
        values=values_TC,
        past=np.zeros((steps, 0)),
        future=np.zeros((steps, 0)) if future is None else future,
        static=np.zeros(0),
    )
    channels = tuple(f"c{i}" for i in range(values_TC.shape[1]))
    return Panel(series=(series,), channels=channels, frequency=Frequency("1i", season), future=names, layout="wide")


def delayed_channels(steps: int, *, pairs: int, delay: int, noise: float, seed: int) -> Panel:
    """`pairs` leaders, autoregressive with coefficient 0.9, and a follower of each: its leader `delay` steps ago, plus noise.

    What a follower does in the next `delay` steps stands in its leader's past, and in nothing else.
    """
    rng = np.random.default_rng(seed)
    shocks = rng.standard_normal((steps + delay, pairs))
    leaders = np.zeros_like(shocks)
    for t in range(1, len(leaders)):
        leaders[t] = 0.9 * leaders[t - 1] + shocks[t]
    followers = leaders[:steps] + noise * rng.standard_normal((steps, pairs))
    return table(np.concatenate([leaders[delay:], followers], 1))


def demand(steps: int, *, useless: int, seed: int) -> Panel:
    """Demand with a weekly season, driven by a price and by holidays that are known beforehand, and `useless` other covariates.

    y_t = 10 + 3 sin(2π t / 7) − 2 price_t + 6 holiday_t + noise; the price is a random walk within bounds.
    """
    rng = np.random.default_rng(seed)
    price = np.clip(np.cumsum(0.3 * rng.standard_normal(steps)) % 4 - 2, -2, 2)
    holiday = (rng.random(steps) < 0.08).astype(float)
    others = rng.standard_normal((steps, useless))
    time = np.arange(steps)
    y = 10 + 3 * np.sin(2 * np.pi * time / 7) - 2 * price + 6 * holiday + 0.5 * rng.standard_normal(steps)
    names = ("price", "holiday", *(f"other{i}" for i in range(useless)))
    return table(y[:, None], season=7, future=np.column_stack([price, holiday, others]), names=names)
