"""Every case of an outside implementation that lies in goldens/, replayed through our converter."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequary.convert.goldens import cases, replay

HERE = Path(__file__).parent / "goldens"
CASES = [(slug.name, path) for slug in sorted(HERE.iterdir()) if slug.is_dir() for path in cases(slug)]


@pytest.mark.parametrize(("slug", "path"), CASES, ids=[f"{s}-{p.stem}" for s, p in CASES])
def test_case(slug: str, path: Path) -> None:
    result = replay(slug, path)
    assert result.passed, f"{slug}/{result.case}: error {result.error} at {result.where}"
    assert result.declined is None, f"{slug}/{result.case} is kept here, so it must not be declined: {result.declined}"
