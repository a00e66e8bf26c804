"""Commands as a user gives them, in this process."""

from __future__ import annotations

import pytest

from sequary.cli.main import main


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Status, standard output, standard error."""
    capsys.readouterr()
    status = main([str(w) for w in words])
    out, err = capsys.readouterr()
    return status, out, err
