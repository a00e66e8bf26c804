"""An LSTM that reads a series with all its covariates side by side, and one that writes the horizon: the plain rival."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sequary.core.contracts import Forecasts, Head
from sequary.core.ctx import Tape
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch, Output
from sequary.heads.quantiles import Quantiles
from sequary.models.forecaster import scaled_loss, scaled_quantiles
from sequary.tokens.series import InstanceNorm, Windows


class LSTMForecaster(Forecasts):
    """[B, L, C] with covariates -> hidden [B, H, C, D] (Sutskever et al., 2014, for series): each channel is a row of its own.

    The encoder reads [value, is it known, static, past, future covariates] of each step of the look-back; the decoder, started
    with its state, reads [static, future covariates] of each step of the horizon. Categories enter as their code numbers.
    `static`, `past`: numbers of columns; `covariates`: of all three kinds together.
    """

    tiny = {"horizon": 8, "covariates": 0, "head": part(Quantiles, levels=(0.1, 0.5, 0.9))}

    def __init__(
        self,
        dim: int,
        *,
        horizon: int,
        covariates: int,
        head: Part[Head],
        static: int = 0,
        past: int = 0,
        scale: Part[Windows] = part(InstanceNorm),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.horizon = horizon
        self.scale = scale.build(here)
        self.encoder = nn.LSTM(2 + covariates, dim, batch_first=True)
        self.decoder = nn.LSTM(max(1, covariates - past), dim, batch_first=True)
        self.heads = nn.ModuleDict({"main": head.build(here)})

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        values, scale = self.scale(batch.values, batch.observed)
        look, channels = values.shape[1:]
        real = torch.ones_like(values) if batch.observed is None else batch.observed.to(values)

        def over(x: Tensor | None, first: int, last: int) -> list[Tensor]:
            """Covariates of steps first..last, a row for each channel."""
            return [] if x is None else [x[:, first:last].repeat_interleave(channels, 0)]

        static = None if batch.static is None else batch.static[:, None].expand(-1, look + self.horizon, -1)
        own = torch.stack((values, real), -1).transpose(1, 2).flatten(0, 1)
        known = over(static, 0, look) + over(batch.past, 0, look) + over(batch.future, 0, look)
        _, state = self.encoder(torch.cat((own, *known), -1))
        ahead = over(static, look, look + self.horizon) + over(batch.future, look, look + self.horizon)
        blank = own.new_ones(len(own), self.horizon, 1)
        hidden, _ = self.decoder(torch.cat(ahead, -1) if ahead else blank, state)
        return Output(hidden.unflatten(0, (-1, channels)).transpose(1, 2), scale)

    def loss(self, output: Output, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return scaled_loss(self.head, output, target, rng)

    def mean(self, output: Output) -> Tensor:
        assert output.scale is not None
        return output.scale.data(self.head.mean(output.hidden))

    def quantiles(self, output: Output, levels: Sequence[float]) -> Tensor:
        return scaled_quantiles(self.head, output, levels)
