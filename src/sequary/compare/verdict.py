"""The verdict: one sentence that says what to use, why, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence

from sequary.compare.board import Candidate, Pair
from sequary.compare.columns import cost, count, digits, metric_name
from sequary.compare.durations import words as lasting
from sequary.compare.words import Words


def verdict(ranked: Sequence[Candidate], ties: Sequence[Pair], metric: str, words: Words) -> str:
    """`ranked`: those with the metric, best first."""
    if not ranked:
        return "No candidate could be scored; the board says why for each."
    best = ranked[0]
    floor = next((c for c in ranked if c.kind == "floor"), None)
    learners = any(c.kind != "floor" for c in ranked)
    parts = [f"Use {best.id}: {_reason(best, floor, ties, metric, learners=learners)}"]
    parts += [p for p in (_ties(ranked, ties), _cost(best, words)) if p]
    return "; ".join(parts) + "."


def _reason(best: Candidate, floor: Candidate | None, ties: Sequence[Pair], metric: str, *, learners: bool) -> str:
    value = digits([best.metrics[metric]])[0]
    said = f"{metric_name(metric)} {value}"
    if best.kind == "floor":
        rest = "nothing that learns did better" if learners else "nothing that learns could be scored"
        return f"{said}, a floor that learns nothing, and {rest}"
    if floor is None or floor.metrics[metric] <= 0:
        return said
    gain = 100 * (1 - best.metrics[metric] / floor.metrics[metric])
    pair = next((p for p in ties if p.other == floor.id), None)
    sure = {
        "better": "",
        "tie": ", a difference that may be chance",
        "too little data to separate": ", on too little data to be sure",
        None: "",
    }[pair.verdict if pair else None]
    return f"{said}, {gain:.{0 if gain >= 10 else 1}f} % below the best floor ({floor.id}){sure}"


def _ties(ranked: Sequence[Candidate], ties: Sequence[Pair]) -> str:
    """Who cannot be told apart from the best, and the first of them that is markedly cheaper."""
    best = ranked[0]
    unclear = [p for p in ties if p.verdict == "too little data to separate"]
    if unclear and len(unclear) == len(ties):
        return "there is too little data to separate it from any other"
    named = {p.other for p in ties if p.verdict != "better"}
    tied = [c for c in ranked[1:] if c.id in named]
    if not tied:
        return "better than every other one by the paired tests" if len(ranked) > 1 else ""
    cheaper = next((said for said in (_cheaper(best, c, len(tied)) for c in tied) if said), "")
    return f"tied with {_listed([c.id for c in tied])}{cheaper}"


def _cheaper(best: Candidate, other: Candidate, among: int) -> str:
    which = "which" if among == 1 else f"of which {other.id}"
    if best.params and other.params and best.params >= 2 * other.params:
        matters = "size or speed" if other.latency_ms <= best.latency_ms else "size"
        return f", {which} is {_times(best.params / other.params)} smaller: prefer it if {matters} matters"
    if best.params and not other.params:
        return f", {which} needs no network: prefer it if simplicity matters"
    if other.latency_ms and best.latency_ms >= 2 * other.latency_ms:
        return f", {which} is {_times(best.latency_ms / other.latency_ms)} faster: prefer it if speed matters"
    return ""


def _cost(best: Candidate, words: Words) -> str:
    if best.kind == "floor":
        return "it costs nothing to train"
    trained = f"{lasting(best.train_s)} to train" if best.train_s else "no training beforehand"
    size = f" ({count(best.params)} parameters)" if best.params else ""
    return f"costs {trained}{size}, {cost(best.latency_ms)} ms per {words.one}"


def _times(ratio: float) -> str:
    return f"{ratio:.0f} times" if ratio >= 10 else f"{ratio:.1f} times"


def _listed(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    shown = list(names[:4]) + ([f"{len(names) - 4} more"] if len(names) > 4 else [])
    return f"{', '.join(shown[:-1])} and {shown[-1]}"
