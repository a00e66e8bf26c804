"""Split-conformal intervals: how wrong the forecasts were at calibration origins says how wide the next interval is.

Residuals r = y - f of every origin, series and channel are divided by that channel's scale (its MASE scale) and
pooled, for each step ahead h apart. With n of them, the symmetric interval of probability c at step h is f +- scale *
|r|_(k), the k-th smallest of the sizes, k = ceil((n + 1) c): the next residual, if it is exchangeable with these,
lies inside with probability >= c (Vovk et al. 2005; Lei et al. 2018). The quantile of probability p is an end of the
interval c = |2p - 1|, so the median is the forecast itself.

Symmetric, because that needs half as many residuals as a tail of its own on each side (19 instead of 39 for 95 %);
the price is that a skewed error puts its misses on one side. Pooled channels of one origin depend on each other; the
guarantee is then one on average over origins.

Where k > n no residual is large enough. Then the width is that of Student's t: scale * s_h * t_m((1 + c) / 2), with
s_h the root mean square of the pooled residuals and m the number of *origins* behind them, which is Gaussian theory
with the uncertainty of s_h paid for as if the channels of an origin were copies. Without any residual, s_h = sqrt(h
pi / 2) and m = infinity: a Gaussian error as large as the in-sample seasonal naive forecast's at once, growing like a
random walk's, the widest of the floors' theories. `shortfall` says in words where this happens.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]


def rank(n: int, share: Floats | float) -> NDArray[np.int64]:
    """k = ceil((n + 1) c), free of the rounding of the product; above n, no size is large enough."""
    return np.ceil((n + 1) * np.asarray(share) - 1e-9).astype(np.int64)


@dataclasses.dataclass(frozen=True, slots=True)
class Conformal:
    """Sizes of scaled residuals. Made by `fit`."""

    sizes: tuple[Floats, ...]
    """For each step ahead, |r| / scale, ascending."""
    origins: tuple[int, ...]
    """For each step ahead, the origins with at least one residual."""

    @classmethod
    def fit(cls, residuals_NHC: Floats, scales: Floats) -> Conformal:
        """From y - f at N origins (series and origins together); NaN is left out. `scales`: [C] or [N, C]."""
        if residuals_NHC.ndim != 3:
            raise ValueError(f"residuals must be [origins, horizon, channels], not {residuals_NHC.shape}")
        if not np.all(scales > 0):
            raise ValueError(f"scales must be positive, not {scales.min()}; use metrics.mase_scale")
        scaled_NHC = np.abs(residuals_NHC) / (scales if scales.ndim == 1 else scales[:, None, :])
        known_NHC = ~np.isnan(scaled_NHC)
        sizes = tuple(np.sort(scaled_NHC[:, h][known_NHC[:, h]]) for h in range(scaled_NHC.shape[1]))
        return cls(sizes, tuple(int(n) for n in known_NHC.any(axis=2).sum(axis=0)))

    def quantiles(self, mean_HC: Floats, scale_C: Floats, levels: Sequence[float]) -> dict[float, Floats]:
        """Probability -> [H, C]; never crossing. `scale_C` is that of the series being forecast."""
        if len(mean_HC) > len(self.sizes):
            raise ValueError(
                f"horizon={len(mean_HC)} exceeds the {len(self.sizes)} calibrated steps; calibrate on more"
            )
        bad = [p for p in levels if not 0 < p < 1]
        if bad:
            raise ValueError(f"levels={bad} are not probabilities; use numbers between 0 and 1")
        shares = sorted({round(abs(2 * p - 1), 12) for p in levels})
        # Student's t may be narrower than the residual that a smaller share got: widths never shrink with the share.
        width_LH = np.maximum.accumulate([[self._width(h, c) for h in range(len(mean_HC))] for c in shares], axis=0)
        width = {c: w_H[:, None] * scale_C for c, w_H in zip(shares, width_LH, strict=True)}
        return {p: mean_HC + np.sign(p - 0.5) * width[round(abs(2 * p - 1), 12)] for p in levels}

    def shortfall(self, levels: Sequence[float]) -> str | None:
        """In words, which intervals are Student's t for want of residuals; None where all are conformal."""
        fewest = min(len(size) for size in self.sizes)
        short = sorted({round(abs(2 * p - 1), 12) for p in levels if rank(fewest, abs(2 * p - 1)) > fewest})
        if not short:
            return None
        shares = ", ".join(f"{100 * c:g} %" for c in short)
        return f"{fewest} residuals a step are too few for conformal {shares} intervals: Student's t instead"

    def _width(self, step: int, share: float) -> float:
        size_N = self.sizes[step]
        k = int(rank(len(size_N), share))
        if k <= len(size_N):
            return float(size_N[k - 1]) if k else 0.0
        if not len(size_N):
            return float(np.sqrt((step + 1) * np.pi / 2) * stats.norm.ppf((1 + share) / 2))
        return float(np.sqrt(np.mean(size_N**2)) * stats.t.ppf((1 + share) / 2, self.origins[step]))
