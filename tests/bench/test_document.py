"""The page of mixers: an entry for each, and tables only of what was measured."""

from __future__ import annotations

import json
from pathlib import Path

from sequary.bench.document import main
from sequary.core import catalogue

POINT = {
    "tokens": 512,
    "params": 10,
    "both_ms": 2.0,
    "memory_mb": 1.0,
    "forward_ms": 1.0,
    "products": 1e6,
    "token_ms": 0.5,
    "state_bytes": 64,
}
KEPT = {"sizes": {"width": 8, "rows": 1, "threads": 1}, "rate": 1e9, "layers": {"gla": {"512": POINT}}}


def test_an_entry_for_each_and_the_table_of_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "cost.json").write_text(json.dumps(KEPT))
    main(str(tmp_path), str(tmp_path / "mixers.md"))
    text = (tmp_path / "mixers.md").read_text(encoding="utf-8")
    assert text.count("\n### ") == sum(catalogue.card(n).kind in ("mixer", "block") for n in catalogue.files())
    assert "| gla | 0 k | 2.0 (50 %) |" in text
    assert "What they learn" not in text
    assert (tmp_path / "images" / "mixers-cost.svg").exists()
    assert "S_t = diag(α_t) S_{t-1} + k_t v_tᵀ" in text


def test_what_was_measured_stays_on_the_page_when_only_records_changed(tmp_path: Path) -> None:
    page, empty = tmp_path / "mixers.md", tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "cost.json").write_text(json.dumps(KEPT))
    main(str(tmp_path), str(page))
    first = page.read_text(encoding="utf-8")
    main(str(empty), str(page))
    assert page.read_text(encoding="utf-8") == first
