"""A forecaster: scale each window, make tokens of its channels, mix them, predict the horizon, undo the scale."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.core.contracts import Backbone, Forecasts, Head
from sequary.core.ctx import Ctx, Tape
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.core.values import Batch, Output, Scale
from sequary.heads.points import HorizonPoints
from sequary.tokens.series import InstanceNorm, SeriesTokens, WholeSeries, Windows


class Forecaster(Forecasts):
    """[B, L, C] -> [B, H, C]: scale, tokens [R, N, D], backbone, head on [B, C, N, D].

    `tokens` folds channels into rows (R = B·C, channel independence) or into tokens (R = B, N = C), and unfolds them again.
    A head over the horizon reads all N tokens of a channel. Loss and forecasts are in the units of the data.
    """

    tiny = {
        "tokens": part(WholeSeries, context=8),
        "backbone": part(Stack, depth=0, blocks=()),
        "head": part(HorizonPoints, horizon=3),
    }

    def __init__(
        self,
        dim: int,
        *,
        tokens: Part[SeriesTokens],
        backbone: Part[Backbone],
        head: Part[Head],
        scale: Part[Windows] = part(InstanceNorm),
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.scale = scale.build(here)
        self.tokens = tokens.build(here)
        self.backbone = backbone.build(here)
        self.heads = nn.ModuleDict({"main": head.build(here)})

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        values, scale = self.scale(batch.values, batch.observed)
        x, ctx = self.tokens.fold(values, batch, Ctx(tape=tape, rng=rng))
        levels = self.backbone(x, ctx)
        return Output(self.tokens.unfold(levels[0].x, batch), scale)

    def loss(self, output: Output, target: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """[B, H, C] in the data's units: the head works on the scaled target, and its degree says how the loss scales back."""
        return scaled_loss(self.head, output, target, rng)

    def mean(self, output: Output) -> Tensor:
        """[B, H, C]."""
        assert output.scale is not None
        return output.scale.data(self.head.mean(output.hidden))

    def quantiles(self, output: Output, levels: Sequence[float]) -> Tensor:
        """[B, H, C, Q]."""
        return scaled_quantiles(self.head, output, levels)


def scaled_loss(head: Head, output: Output, target: Tensor, rng: torch.Generator | None) -> Tensor:
    """The head's loss on the scaled target, brought back to the data's units."""
    assert output.scale is not None
    if head.degree is None:
        raise TypeError(f"{type(head).__name__} states no degree, so its loss cannot be scaled to the data's units")
    return head.loss(output.hidden, output.scale.normal(target), rng) * output.scale.size**head.degree


def scaled_quantiles(head: Head, output: Output, levels: Sequence[float]) -> Tensor:
    """The head's quantiles in the data's units."""
    assert output.scale is not None
    scale = Scale(output.scale.shift[..., None], output.scale.size[..., None])
    return scale.data(head.quantiles(output.hidden, levels))
