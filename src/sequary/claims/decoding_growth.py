"""Template: by what factor the time of one generated token grows with what was said before; a state of fixed size against a cache.

Settings: `contexts` (short, long), `tokens` (timed after each), `repeats`, `model` (overrides of both recipes), `vocab`. Metric `growth`:
processor seconds of a step after the long context over those after the short one, one row, one thread, float32, each the median over
repeats that take turns. Exact parts: steps give the logits of the whole sequence (float64, 1e-9); the system's state has as many bytes
after the long context as after the short one.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from time import process_time
from typing import Any

import torch
from torch import Tensor

from sequary.claims.exact import CPU, distance, drawn
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.state import State
from sequary.core.values import Batch
from sequary.train.seeds import derive, forked, generator

EXACT = 1e-9
CHUNK = 512


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


def built(slug: str, settings: Mapping[str, Any]) -> Model:
    recipe = load(slug).recipe
    assert recipe is not None
    return recipe.but(**settings["model"]).bind({"vocab": settings["vocab"]}).build()


@torch.no_grad()
def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s = claim.settings
    with forked(CPU):
        torch.manual_seed(derive(seed, "weights"))
        models = [built(name, s).eval() for name in (slug, claim.against or "")]
    total = max(s["contexts"]) + s["tokens"]
    ids_BT = torch.randint(s["vocab"], (1, total), generator=generator(CPU, seed, "symbols"))
    starts = [(model, read(model, ids_BT[:, :n]), n) for model in models for n in s["contexts"]]
    rounds = [seconds(starts, ids_BT, s) for _ in range(s["repeats"])]
    times = [statistics.median(found) for found in zip(*rounds, strict=True)]
    off = steps_error(slug, s, seed)
    bytes_ = [state.bytes() for _, state, _ in starts]
    broken = ""
    if off > EXACT:
        broken = f"logits of steps are {off:.1e} from those of the whole sequence; {EXACT:.0e} is asked for"
    elif bytes_[0] != bytes_[1]:
        broken = f"the state grows from {bytes_[0]} bytes to {bytes_[1]}"
    also = {"system_bytes": float(bytes_[1]), "baseline_bytes": float(bytes_[3]), "speed_up": times[3] / times[1]}
    return Trial(seed, times[1] / times[0], times[3] / times[2], broken=broken, also=also)


def read(model: Model, ids_BT: Tensor) -> State:
    """The state after a context, read in chunks so that a cache's scores stay small."""
    state = model.init_state(Batch(values=ids_BT))
    for part in ids_BT.split(CHUNK, 1):
        _, state = model.step(part, state)
    return state


def seconds(starts: list[tuple[Model, State, int]], ids_BT: Tensor, settings: Mapping[str, Any]) -> list[float]:
    """Of one token, for each start: the mean over the tokens that follow its context."""
    found: list[float] = []
    for model, state, n in starts:
        began = process_time()
        for t in range(n, n + settings["tokens"]):
            _, state = model.step(ids_BT[:, t : t + 1], state)
        found.append((process_time() - began) / settings["tokens"])
    return found


def steps_error(slug: str, settings: Mapping[str, Any], seed: int) -> float:
    model = drawn(lambda: built(slug, settings), seed)
    ids_BT = torch.randint(settings["vocab"], (2, 24), generator=generator(CPU, seed, "exact"))
    whole = model.head(model(Batch(values=ids_BT)).hidden)
    state, logits = model.init_state(Batch(values=ids_BT)), list[Tensor]()
    for t in range(ids_BT.shape[1]):
        output, state = model.step(ids_BT[:, t : t + 1], state)
        logits.append(model.head(output.hidden))
    return distance(torch.cat(logits, 1), whole)
