"""Language models of a second's training, as `sequary fit` writes them."""

from __future__ import annotations

from pathlib import Path

from sequary.cli.main import main

TEXT = "to be or not to be, that is the question. " * 60
SMALL = ["--set", "dim=16", "--set", "model__backbone__depth=2", "--context", "16"]


def fitted(folder: Path, *systems: str) -> Path:
    """A text and a model of each system, in `folder`."""
    text = folder / "text.txt"
    text.write_text(TEXT)
    (folder / "short.txt").write_text("to be")
    (folder / "table.csv").write_text("date,y\n" + "\n".join(f"2024-01-{d:02},{d % 7}" for d in range(1, 31)))
    for name in systems:
        assert main(["fit", name, str(text), "--out", str(folder / name), "--steps", "2", *SMALL]) == 0
    words = ["dlinear", str(folder / "table.csv"), "--steps", "2", "--horizon", "2"]
    assert main(["fit", *words, "--out", str(folder / "dlinear")]) == 0
    return folder
