"""The diagonal state space against the complex recurrence and the kernel that the paper writes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sequary.core.ctx import Ctx
from sequary.mixers.ssm.dss import DiagonalStateSpace


def built(log_rates: bool) -> DiagonalStateSpace:
    torch.manual_seed(0)
    return DiagonalStateSpace(3, states=4, log_rates=log_rates).double()


def tokens() -> Tensor:
    return torch.randn(2, 11, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("log_rates", [True, False])
def test_is_the_complex_recurrence(log_rates: bool) -> None:
    ssm, u = built(log_rates), tokens()
    rate = torch.complex(-ssm.decay.exp(), ssm.turn.exp() if log_rates else ssm.turn)
    held = torch.complex(ssm.C_real, ssm.C_imag) * (rate.exp() - 1) / rate
    h, found = torch.zeros(2, 3, 4, dtype=torch.complex128), list[Tensor]()
    for t in range(11):
        h = rate.exp() * h + u[:, t, :, None]
        found.append((held * h).sum(-1).real + ssm.D * u[:, t])
    torch.testing.assert_close(ssm(u), torch.stack(found, 1))


def test_packed_rows_turn_from_their_own_start() -> None:
    ssm, u = built(True), tokens()
    segments = (torch.arange(11) >= 4).long().expand(2, -1)
    packed = ssm(u, Ctx(segments=segments))
    torch.testing.assert_close(packed[:, :4], ssm(u[:, :4]))
    torch.testing.assert_close(packed[:, 4:], ssm(u[:, 4:]))
