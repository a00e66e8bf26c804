"""The learning rate over a stage."""

from __future__ import annotations

import math

from sequary.core.recipe import Train


def rate(train: Train, step: int, steps: int) -> float:
    """The learning rate of step `step` (from 0) of `steps`.

    It rises linearly over the first `warmup · steps` steps, then stays (constant) or falls to reach 0 where the last step
    ends: lr · (1 + cos(π u)) / 2 (cosine) or lr · (1 − u) (linear), u the fraction of the steps after the warm-up. Or it
    halves after each tenth of them (halving: lr / 2^⌊10 u⌋), as code for long-term forecasting since Informer does by epochs.
    """
    warm = round(train.warmup * steps)
    if step < warm:
        return train.lr * (step + 1) / warm
    left = max(1, steps - warm)
    if train.schedule == "halving":
        return train.lr * 0.5 ** (10 * (step - warm) // left)
    done = (step - warm) / left
    if train.schedule == "cosine":
        return train.lr * 0.5 * (1 + math.cos(math.pi * done))
    return train.lr * (1 - done) if train.schedule == "linear" else train.lr
