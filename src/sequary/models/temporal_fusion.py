"""A forecaster of a series with its covariates: statics, what is known up to now, what is known beforehand."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sequary.backbones.temporal_fusion import Lengths, TemporalFusion
from sequary.condition.covariates import Covariates
from sequary.condition.selection import VariableSelection
from sequary.core.contracts import Forecasts, Head
from sequary.core.ctx import Ctx, Tape
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch, Output
from sequary.heads.quantiles import Quantiles
from sequary.models.forecaster import scaled_loss, scaled_quantiles
from sequary.tokens.series import InstanceNorm, Windows


class CovariateForecaster(Forecasts):
    """[B, L, C] and covariates -> hidden [B, H, C, D], whose head says each step of the horizon.

    Each channel is a row of its own, with all covariates of its window beside it. The network's selections take their
    widths from `covariates`; one without columns is left out. `horizon` = H; None: as far as `batch.future` reaches.
    """

    tiny = {
        "horizon": 8,
        "covariates": part(Covariates),
        "network": part(TemporalFusion, past=part(VariableSelection)),
        "head": part(Quantiles, levels=(0.1, 0.5, 0.9)),
    }

    def __init__(
        self,
        dim: int,
        *,
        horizon: int | None,
        covariates: Part[Covariates],
        network: Part[TemporalFusion],
        head: Part[Head],
        scale: Part[Windows] = part(InstanceNorm),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.horizon = horizon
        self.scale = scale.build(here)
        self.covariates = covariates.build(here)
        self.network = _fitted(network, self.covariates).build(here)
        self.heads = nn.ModuleDict({"main": head.build(here)})

    def forward(
        self,
        batch: Batch,
        tape: Tape | None = None,
        rng: torch.Generator | None = None,
        lengths: Lengths | None = None,
    ) -> Output:
        """`lengths`: of ragged rows (R = B·C), whose padding is at the end of look-back and horizon."""
        values, scale = self.scale(batch.values, batch.observed)
        channels = values.shape[2]

        def each(x: Tensor | None) -> Tensor | None:
            return None if x is None else x.repeat_interleave(channels, 0)

        horizon = self._horizon(batch)
        variables = self.covariates(
            _rows(values),
            None if batch.observed is None else _rows(batch.observed),
            each(batch.static),
            each(batch.past),
            each(batch.future),
        )
        hidden = self.network(variables, horizon, Ctx(tape=tape, rng=rng), lengths)
        return Output(hidden.unflatten(0, (-1, channels)).transpose(1, 2), scale)

    def _horizon(self, batch: Batch) -> int:
        look = batch.values.shape[1]
        known = self.horizon if batch.future is None else batch.future.shape[1] - look
        if known is None:
            raise ValueError("built with horizon=None, so the batch must say it: future [B, L + H, K]; K may be 0")
        if self.horizon not in (None, known):
            raise ValueError(f"future covers {look + known} steps; look-back and horizon are {look} + {self.horizon}")
        return known

    def loss(self, output: Output, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return scaled_loss(self.head, output, target, rng)

    def mean(self, output: Output) -> Tensor:
        assert output.scale is not None
        return output.scale.data(self.head.mean(output.hidden))

    def quantiles(self, output: Output, levels: Sequence[float]) -> Tensor:
        return scaled_quantiles(self.head, output, levels)


def _rows(x_BLC: Tensor) -> Tensor:
    """[B·C, L]."""
    return x_BLC.transpose(1, 2).flatten(0, 1)


def _fitted(network: Part[TemporalFusion], covariates: Covariates) -> Part[TemporalFusion]:
    """The network with a selection for each kind of columns that there is, of the widths that they have."""
    selections: dict[str, Part[VariableSelection] | None] = {}
    for name, columns in (("static", covariates.statics), ("past", covariates.looks), ("future", covariates.ahead)):
        one: Part[VariableSelection] = network.get(name) or part(VariableSelection)
        selections[name] = one.but(widths=covariates.width_of(columns)) if columns else None
    return network.but(**selections)
