"""Windows of a series <-> tokens: how each window is scaled, and what becomes a token."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from sequary.core.contracts import Member
from sequary.core.ctx import Ctx
from sequary.core.values import Batch, Scale
from sequary.ops.dropout import Dropout


class Windows(Member):
    """values [B, L, C] and which of them are observed -> scaled values (0 where missing), and the map back."""

    def forward(self, values_BLC: Tensor, observed_BLC: Tensor | None) -> tuple[Tensor, Scale]:
        raise NotImplementedError


def moments(values_BLC: Tensor, observed_BLC: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """[B, 1, C] mean and biased variance over observed steps, and the mask as numbers."""
    real = torch.ones_like(values_BLC) if observed_BLC is None else observed_BLC.to(values_BLC.dtype)
    count = real.sum(1, keepdim=True).clamp(min=1)
    mean = (values_BLC * real).sum(1, keepdim=True) / count
    var = (((values_BLC - mean) * real).square()).sum(1, keepdim=True) / count
    return mean, var, real


class NoScale(Windows):
    """As they come."""

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, values_BLC: Tensor, observed_BLC: Tensor | None) -> tuple[Tensor, Scale]:
        one = values_BLC.new_ones(values_BLC.shape[0], 1, values_BLC.shape[2])
        return values_BLC, Scale(torch.zeros_like(one), one)


class InstanceNorm(Windows):
    """Each channel of each window to mean 0 and deviation 1 over its observed steps (RevIN without the affine part).

    Kim et al., ICLR 2022; √(var + eps) with the biased variance. The statistics carry no gradient.
    """

    def __init__(self, dim: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, values_BLC: Tensor, observed_BLC: Tensor | None) -> tuple[Tensor, Scale]:
        mean, var, real = moments(values_BLC, observed_BLC)
        size = (var + self.eps).sqrt().detach()
        return (values_BLC - mean.detach()) / size * real, Scale(mean.detach(), size)


class WindowNorm(Windows):
    """As `InstanceNorm`, but the gradient flows through the deviation, as in the authors' iTransformer (the mean has none)."""

    def __init__(self, dim: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, values_BLC: Tensor, observed_BLC: Tensor | None) -> tuple[Tensor, Scale]:
        mean = moments(values_BLC, observed_BLC)[0].detach()
        _, var, real = moments(values_BLC - mean, observed_BLC)
        size = (var + self.eps).sqrt()
        return (values_BLC - mean) / size * real, Scale(mean, size)


class LastValue(Windows):
    """Minus the last observed value of each channel (NLinear; Zeng et al., AAAI 2023, section 4). No gradient through it."""

    def __init__(self, dim: int) -> None:
        super().__init__()

    def forward(self, values_BLC: Tensor, observed_BLC: Tensor | None) -> tuple[Tensor, Scale]:
        if observed_BLC is None:
            last = values_BLC[:, -1:].detach()
            return values_BLC - last, Scale(last, torch.ones_like(last))
        steps = torch.arange(values_BLC.shape[1], device=values_BLC.device)[None, :, None]
        newest = torch.where(observed_BLC, steps, -1).amax(1, keepdim=True).clamp(min=0)
        last = values_BLC.gather(1, newest).detach()
        return (values_BLC - last) * observed_BLC, Scale(last, torch.ones_like(last))


class SeriesTokens(Member):
    """Scaled windows -> rows of tokens with their context, and back to [B, C, N, D]."""

    def fold(self, values_BLC: Tensor, batch: Batch, ctx: Ctx) -> tuple[Tensor, Ctx]:
        raise NotImplementedError

    def unfold(self, x: Tensor, batch: Batch) -> Tensor:
        raise NotImplementedError


class ChannelSteps(SeriesTokens):
    """A channel's whole look-back as its vector, unchanged: D = L (the linear forecasters)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.context = dim

    def fold(self, values_BLC: Tensor, batch: Batch, ctx: Ctx) -> tuple[Tensor, Ctx]:
        if values_BLC.shape[1] != self.context:
            raise ValueError(f"built for a look-back of {self.context} (its dim), got {values_BLC.shape[1]}")
        return values_BLC.transpose(1, 2), ctx

    def unfold(self, x: Tensor, batch: Batch) -> Tensor:
        return x[:, :, None]


class WholeSeries(SeriesTokens):
    """Each channel's whole look-back is one token, by a linear map L -> D (iTransformer, section 3.1); N = C tokens a row.

    Past covariates and those known beforehand (over the look-back) are further tokens, which attention may read.
    """

    tiny = {"context": 8}

    def __init__(self, dim: int, *, context: int) -> None:
        super().__init__()
        self.embed = nn.Linear(context, dim)

    def fold(self, values_BLC: Tensor, batch: Batch, ctx: Ctx) -> tuple[Tensor, Ctx]:
        known = None if batch.future is None else batch.future[:, : values_BLC.shape[1]]
        rows = [t for t in (values_BLC, batch.past, known) if t is not None and t.shape[2]]
        return self.embed(torch.cat(rows, 2).transpose(1, 2)), ctx

    def unfold(self, x: Tensor, batch: Batch) -> Tensor:
        return x[:, : batch.values.shape[2], None]


class ChannelPatches(SeriesTokens):
    """Each channel a row of its own, cut into overlapping patches, each a token with a learned position.

    PatchTST, section 3.1: patches of `patch` steps every `stride`, the end padded by `stride` repeats of the last value, so
    N = (L − patch) // stride + 2; without `padded`, one less and surplus steps at the end are lost. `dropout` acts on the
    tokens with their positions.
    """

    tiny = {"context": 12, "patch": 4, "stride": 2}

    def __init__(
        self, dim: int, *, context: int, patch: int = 16, stride: int = 8, padded: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.patch, self.stride, self.end = patch, stride, stride if padded else 0
        if context + self.end < patch:
            raise ValueError(
                f"patch={patch} is longer than context={context} with {self.end} steps of padding; "
                f"use patch <= {context + self.end}"
            )
        self.embed = nn.Linear(patch, dim)
        self.positions = nn.Parameter(
            torch.empty((context + self.end - patch) // stride + 1, dim).uniform_(-0.02, 0.02)
        )
        self.dropout = Dropout(dropout)

    def fold(self, values_BLC: Tensor, batch: Batch, ctx: Ctx) -> tuple[Tensor, Ctx]:
        rows = rearrange(values_BLC, "b l c -> (b c) l")
        padded = torch.cat((rows, rows[:, -1:].expand(-1, self.end)), 1)
        return self.dropout(self.embed(padded.unfold(1, self.patch, self.stride)) + self.positions), ctx

    def unfold(self, x: Tensor, batch: Batch) -> Tensor:
        return rearrange(x, "(b c) n d -> b c n d", b=batch.values.shape[0])
