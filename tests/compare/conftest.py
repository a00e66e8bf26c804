"""Sample boards, as a comparison would leave them: twelve candidates with failures and ties; a language model."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pytest

from sequary.compare.board import Board, Candidate, Fold, Leak, Pair, Plot, Rung

HORIZON = 24
EVIL = "<script>alert('series')</script>"


def _rungs(rng: np.random.Generator, score: float) -> list[Rung]:
    found = []
    for rung, (steps, tried) in enumerate([(150, 4), (300, 2), (600, 1)]):
        for i in range(tried):
            setting = {"lr": float(10.0 ** -(2 + i % 3)), "dim": 64 * (1 + i % 2), "dropout": 0.1}
            value = None if (rung, i) == (0, 3) else score * (1.1 - 0.04 * rung + 0.02 * i)
            seconds = steps * 0.008 * float(rng.uniform(0.9, 1.1))
            found.append(
                Rung(rung=rung, setting=setting, steps=steps, seconds=seconds, score=value, kept=i < tried / 2)
            )
    return found


def _curve(rng: np.random.Generator, end: float) -> list[tuple[int, float, float | None]]:
    loss = [end + 0.9 * math.exp(-step / 120) + 0.02 * float(rng.normal()) for step in range(0, 600, 5)]
    return [(5 * i, x, x * 1.06 + 2e-6 * (5 * i - 300) ** 2 / 10 if i % 4 == 0 else None) for i, x in enumerate(loss)]


def _candidate(row: tuple[str, str, str, float, int, float, float, float], series: list[str], seed: int) -> Candidate:
    id, title, kind, mase, params, train_s, latency_ms, memory_mb = row
    rng = np.random.default_rng(seed)
    trained = kind == "system"
    return Candidate(
        id=id,
        title=title,
        kind=kind,  # pyright: ignore[reportArgumentType]
        metrics={"mase": mase, "mae": 1.9 * mase, "mse": 6.1 * mase**2, "crps": 1.31 * mase}
        | ({"coverage_80": 0.83 - 0.02 * seed % 0.1, "coverage_95": 0.94} if kind != "floor" else {}),
        spread={"mase": ({"seeds": 0.006 + 0.001 * seed} if trained else {}) | {"folds": 0.08 + 0.004 * seed}},
        by_series={name: mase * float(rng.lognormal(0, 0.22)) for name in series},
        by_fold=[mase * float(rng.lognormal(0, 0.1)) for _ in range(8)],
        params=params,
        train_s=train_s,
        latency_ms=latency_ms,
        memory_mb=memory_mb,
        setting={"lr": 0.001, "dim": 64, "dropout": 0.1} if trained else {},
        rungs=_rungs(rng, mase) if trained else [],
        curve=_curve(rng, mase / 3) if trained else [],
    )


ROWS = [
    ("patchtst", "A Time Series is Worth 64 Words", "system", 0.712, 412_000, 27.9, 3.41, 212.0),
    ("itransformer", "iTransformer: Inverted Transformers", "system", 0.719, 211_000, 26.1, 2.02, 148.0),
    ("dlinear", "Are Transformers Effective for Time Series Forecasting?", "system", 0.731, 9_312, 11.2, 0.21, 14.0),
    ("temporal-fusion-transformer", "Temporal Fusion Transformers", "system", 0.744, 1_240_000, 29.8, 9.7, 640.0),
    ("gradient-boosting", "Gradient boosting on lags", "rival", 0.768, 0, 6.4, 1.13, 60.0),
    ("auto-ets", "ETS, chosen by AIC", "rival", 0.823, 0, 3.1, 42.0, 9.0),
    ("seasonal-naive", "The value one season ago", "floor", 0.871, 0, 0.0, 0.02, 0.0),
    ("gla", "Gated Linear Attention", "system", 0.902, 302_000, 28.8, 4.4, 233.0),
    ("last-value", "The last value", "floor", 1.934, 0, 0.0, 0.01, 0.0),
    ("drift", "A line through first and last value", "floor", 2.012, 0, 0.0, 0.01, 0.0),
]


def _plots(series: list[str], forecasters: list[str]) -> list[Plot]:
    rng = np.random.default_rng(7)
    start = dt.datetime(2024, 3, 1)
    found = []
    for n, name in enumerate(series):
        steps = np.arange(168 + HORIZON)
        clean = 40 + 3 * n + 9 * np.sin(2 * np.pi * (steps + n) / 24) + 0.02 * steps
        values: list[float | None] = [float(v) for v in clean + rng.normal(0, 1.4, len(steps))]
        values[60:75] = [None] * 15
        values[80], values[82] = None, None
        times = [(start + dt.timedelta(hours=int(i))).isoformat() for i in steps]
        forecasts = {}
        for k, model in enumerate(forecasters):
            mean = clean[168:] + rng.normal(0, 0.4 + k, HORIZON)
            width = 1.3 + 0.05 * np.arange(HORIZON)
            bands = {"lo80": mean - 1.28 * width, "hi80": mean + 1.28 * width}
            bands |= {"lo95": mean - 1.96 * width, "hi95": mean + 1.96 * width}
            forecasts[model] = {key: v.tolist() for key, v in ({"mean": mean} | (bands if k == 0 else {})).items()}
        found.append(
            Plot(
                series=name,
                history_times=times[:168],
                history=values[:168],
                times=times[168:],
                truth=values[168:],
                forecasts=forecasts,
            )
        )
    return found


def forecast_board(series_count: int = 40, plot_count: int = 9) -> Board:
    """Twelve candidates, ten with scores; the first three cannot be told apart."""
    series = [EVIL, *[f"store-{i:03d}" for i in range(1, series_count)]]
    candidates = [_candidate(row, series, seed) for seed, row in enumerate(ROWS)]
    candidates += [
        Candidate(
            id="./mine.py",
            title="<b>My</b> model & 'co'",
            kind="system",
            status="crashed",
            error="RuntimeError: mat1 and mat2 shapes cannot be multiplied (32x96 and 64x24)\n  in mine.py line 41",
        ),
        Candidate(
            id="megabyte",
            title="MEGABYTE",
            kind="system",
            status="too large",
            error="needs 21.4 GB of memory, 7.6 GB are free; set --max-params or dim=256",
        ),
    ]
    p_values = [0.62, 0.21, 0.048, 0.003, 0.002, 4e-6, 2e-7, 1e-12, 1e-12]
    ties = [
        Pair(
            best="patchtst",
            other=row[0],
            test="Wilcoxon",
            pairs=series_count * 8,
            p=p,
            verdict="better" if p < 0.05 else "tie",
        )
        for row, p in zip(ROWS[1:], p_values, strict=True)
    ]
    day = dt.datetime(2024, 1, 1)
    folds = [
        Fold(origin=(day + dt.timedelta(days=i)).isoformat(), role="choice" if i < 4 else "board", horizon=HORIZON)
        for i in range(12)
    ]
    return Board(
        data={
            "file": "stores.csv",
            "rows": 350_592,
            "series": series_count,
            "frequency": "hourly, season 24",
            "time": "2023-01-01 00:00 to 2024-01-13 00:00",
            "missing values": "1 204 (0.3 %)",
            "gaps": ["store-004: 2023-05-01 to 2023-05-03", "store-011: 2023-08-09"],
            "covariates": {"past": ["temperature"], "future": ["holiday"], "static": ["region"]},
        },
        task="forecast",
        metric="mase",
        folds=folds,
        candidates=candidates,
        floors=["last-value", "seasonal-naive", "drift"],
        leak=Leak(probed=96, max_shift=0.0, by_fold=[0.0] * 8),
        ties=ties,
        verdict="patchtst forecasts best (MASE 0.712, 18 % below the best floor), but dlinear ties with it at a "
        "sixteenth of the latency.",
        manifest={
            "seed": 0,
            "seeds": 3,
            "threads": 1,
            "budget": "5m",
            "versions": {"torch": "2.13.0"},
            "note": "</pre>",
        },
        plots=_plots(series[:plot_count], ["patchtst", "seasonal-naive"]),
    )


def text_board() -> Board:
    """A language model task: bits per byte, byte offsets as origins, no forecasts, too little data for one pair."""
    rng = np.random.default_rng(3)
    rows = [
        ("gla", "Gated Linear Attention", "system", 1.413, 3_400_000, 88.0),
        ("ngram", "5-gram", "floor", 2.117, 0, 1.9),
    ]
    candidates = [
        Candidate(
            id=id,
            title=title,
            kind=kind,  # pyright: ignore[reportArgumentType]
            metrics={"bits_per_byte": bits},
            spread={"bits_per_byte": {"folds": 0.03}},
            by_fold=[bits, bits * 1.02],
            params=params,
            train_s=train_s,
            latency_ms=5.2,
            memory_mb=301.0,
            curve=_curve(rng, 1.0) if params else [],
        )
        for id, title, kind, bits, params, train_s in rows
    ]
    return Board(
        data={"file": "alice.txt", "bytes": 152_089},
        task="language",
        metric="bits_per_byte",
        folds=[
            Fold(origin=str(90_000 + 15_000 * i), role="board" if i else "choice", horizon=15_000) for i in range(4)
        ],
        candidates=candidates,
        floors=["ngram"],
        leak=Leak(probed=4, max_shift=0.0, by_fold=[0.0, 0.0]),
        ties=[Pair(best="gla", other="ngram", test="none", pairs=2, p=None, verdict="too little data to separate")],
        verdict="gla compresses best (1.41 bits per byte), for 88 s of training.",
        manifest={"seed": 0},
    )


@pytest.fixture(name="forecast_board", scope="session")
def _forecast_board() -> Board:
    return forecast_board()


@pytest.fixture(name="text_board", scope="session")
def _text_board() -> Board:
    return text_board()
