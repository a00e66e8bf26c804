"""Outside implementations that run on a CPU, beside ours: those of oracles_*.py, each within 1e-5 in float32."""

from __future__ import annotations

import pytest
from torch import Tensor

from tests.parity.oracles_attention import ORACLES as ATTENTION
from tests.parity.oracles_blocks import ORACLES as BLOCKS
from tests.parity.oracles_fla import ORACLES as FLA
from tests.parity.oracles_language import ORACLES as LANGUAGE
from tests.parity.oracles_recurrences import ORACLES as RECURRENCES

TRANSFORMERS = ATTENTION | BLOCKS | LANGUAGE | RECURRENCES


def error(theirs: Tensor, ours: Tensor) -> float:
    assert theirs.shape == ours.shape
    return float((theirs - ours).detach().abs().max() / theirs.detach().abs().max().clamp(min=1))


@pytest.mark.parametrize("name", [*FLA, *TRANSFORMERS])
def test_ours_is_theirs(name: str) -> None:
    for theirs, ours in (FLA | TRANSFORMERS)[name][1]():
        assert error(theirs, ours) < 1e-5


def test_there_are_enough() -> None:
    assert len(FLA) >= 20
    assert len(TRANSFORMERS) >= 25
