"""A model that is asked for what models of another task do: one line, status 2, and what to use."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequary.cli.main import main

ASKED = (
    ("detect",),
    ("classify",),
    ("impute",),
    ("generate",),
    ("edit", "--with", "lorap"),
    ("probe", "hidden-attention"),
)


@pytest.mark.parametrize("words", ASKED, ids=lambda words: words[0])
def test_another_verb_is_refused_with_the_right_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
):
    monkeypatch.chdir(tmp_path)
    Path("data.csv").write_text("ds,y\n" + "".join(f"2024-01-{day:02},{day % 7}\n" for day in range(1, 32)))
    assert main(["fit", "dlinear", "data.csv", "--horizon", "3", "--steps", "2", "--out", "m"]) == 0
    capsys.readouterr()
    command, *more = words
    data = {"generate": [], "edit": ["--out", "small"], "probe": ["--data", "data.csv"]}.get(command, ["data.csv"])
    assert main([command, "m", *more, *data]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "task forecast" in line
