"""docs/claims.md says what the records say."""

from __future__ import annotations

from pathlib import Path

from sequary.claims import page


def test_the_page_is_that_of_the_records() -> None:
    kept = Path(__file__).parents[2] / "docs" / "claims.md"
    wanted = "\n".join(page.lines()).rstrip() + "\n"
    assert kept.read_text(encoding="utf-8") == wanted, "write it again: python -m sequary.claims.page docs/claims.md"


def test_a_counterexample_is_told() -> None:
    numbers = {"metric": "a_b", "system": 1.0, "baseline": 2.0, "low": 0.5, "high": 1.5, "broken": 2.0}
    found = {
        "text": "x | y",
        "verdict": "does not hold at this scale",
        "numbers": numbers,
        "seeds": 3,
        "measured": "2026-11-30, a machine",
        "settings": {"against": "gpt"},
        "core_seconds": 90.0,
    }
    cells = page.entry("gla", found).split(" | ")
    assert cells[1:3] == ["x &#124; y", "**does not hold at this scale** (broken for 2 of 3 seeds)"]
    assert cells[3:] == ["a b", "1", "2 (gpt)", "", "3", "0.5 to 1.5", "1.5", "2026-11-30 |"]
