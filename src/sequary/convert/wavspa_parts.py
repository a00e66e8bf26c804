"""What the source of WavSpA does otherwise than our transforms, and the attentions that it offers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.projection import join, split
from sequary.mixers.spectral.transforms import FilterBank, Lifting, Wavelets
from sequary.ops.attend import attend
from sequary.ops.wavelets import analyse, mirror, synthesise

WINDOW = 256
"""Of the longformer there: a token sees 255 before it and 256 after it."""


class Reflected(FilterBank):
    """Reflected at both ends, then convolved in a ring; the low pass of a channel is that of its mirror channel, the high pass its own."""

    def __init__(self, dim: int, *, levels: int = 2, taps: int = 4) -> None:
        super().__init__(dim, levels=levels, taps=taps)
        self.h0 = nn.Parameter(torch.zeros(taps, dim))

    def pair(self) -> tuple[Tensor, Tensor]:
        own = self.h0.flip(0)
        return own.flip(1), mirror(own)

    def down(self, x_BTD: Tensor) -> tuple[Tensor, Tensor]:
        length, reach = x_BTD.shape[1], self.h0.shape[0] - 2
        at = torch.arange(-reach, length + reach + length % 2)
        at = at.remainder(max(1, 2 * (length - 1)))
        ring = x_BTD[:, torch.minimum(at, 2 * (length - 1) - at)]
        return analyse(torch.cat((ring, ring[:, :reach]), 1), *self.pair())

    def up(self, a_BKD: Tensor, d_BKD: Tensor, length: int) -> Tensor:
        reach, around = self.h0.shape[0] - 2, 2 * a_BKD.shape[1]
        line = synthesise(a_BKD, d_BKD, *self.pair())
        ring = line[:, :around] + F.pad(line[:, around:], (0, 0, 0, around - reach))
        return ring[:, reach : reach + length]


class LinearLifting(Wavelets):
    """d = odd − (even[k] + even[k + 1]) / 2, a = even + (d[k − 1] + d[k]) / 4 in a ring; after an odd length back is not exactly back.

    Of the ring's end before its beginning the source takes the value, by an index out of range, but no derivative.
    """

    def __init__(self, dim: int, *, levels: int = 2) -> None:
        super().__init__(dim, levels=levels)

    def down(self, x_BTD: Tensor) -> tuple[Tensor, Tensor]:
        even, odd = x_BTD[:, ::2], F.pad(x_BTD, (0, 0, 0, x_BTD.shape[1] % 2))[:, 1::2]
        d = odd - (even + even.roll(-1, 1)) / 2
        return even + (before(d) + d) / 4, d

    def up(self, a_BKD: Tensor, d_BKD: Tensor, length: int) -> Tensor:
        d = F.pad(d_BKD, (0, 0, 0, a_BKD.shape[1] - d_BKD.shape[1]))
        even = a_BKD - (before(d) + d) / 4
        return torch.stack((even, d + (even + even.roll(-1, 1)) / 2), 2).flatten(1, 2)


def before(d_BKD: Tensor) -> Tensor:
    """d[k − 1]."""
    return torch.cat((d_BKD[:, -1:].detach(), d_BKD[:, :-1]), 1)


class RingLifting(Lifting):
    """In a ring, by as much of the filters as it holds."""

    def ahead(self, x_BKD: Tensor, filter_LD: Tensor) -> Tensor:
        around = x_BKD.shape[1]
        return torch.stack([w * x_BKD.roll(-m, 1) for m, w in enumerate(filter_LD[:around])]).sum(0)

    def up(self, a_BKD: Tensor, d_BKD: Tensor, length: int) -> Tensor:
        return super().up(a_BKD[:, : d_BKD.shape[1]], d_BKD, 2 * d_BKD.shape[1])


class Projected(Mixer):
    """Heads of q, k and v, mixed as subclasses say, and a map back."""

    bias = True

    def __init__(self, dim: int, *, heads: int, width: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(dim, width, bias=self.bias) for _ in range(3))
        self.o = nn.Linear(width, dim, bias=self.bias)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        q, k, v = (split(f(x_BTD), self.heads) for f in (self.q, self.k, self.v))
        return self.o(join(self.mix(q, k, v)))

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        raise NotImplementedError


class Softmax(Projected):
    bias = False

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend(q, k, v)


class Window(Softmax):
    """No token is global, so the second set of weights there is never used."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        at = torch.arange(q.shape[2])
        ahead = at - at[:, None]
        return attend(q, k, v, sees=((ahead > -WINDOW) & (ahead <= WINDOW))[None])


class Linear(Projected):
    """Features elu + 1."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k = F.elu(q) + 1, F.elu(k) + 1
        return q @ (k.mT @ v) / (q @ k.sum(2)[..., None] + 1e-6)


class Performer(Projected):
    """Features relu + 0.001 of queries, keys and values behind norms; nothing is drawn."""

    bias = False

    def __init__(self, dim: int, *, heads: int, width: int) -> None:
        super().__init__(dim, heads=heads, width=width)
        self.norms = nn.ModuleList(nn.LayerNorm(width // heads, eps=1e-6) for _ in range(3))

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (norm(x) for norm, x in zip(self.norms, (q, k, v), strict=True))
        q, k = F.relu(q) + 1e-3, F.relu(k) + 1e-3
        return q @ (k.mT @ v) / (q @ k.sum(2)[..., None])


class Linformer(Projected):
    """Keys and values mapped to 128 places by one matrix."""

    def __init__(self, dim: int, *, heads: int, width: int, length: int = 512) -> None:
        super().__init__(dim, heads=heads, width=width)
        self.lr_kernel = nn.Parameter(torch.zeros(length, 128))

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        e_kS = self.lr_kernel[: q.shape[2]].mT
        return attend(q, e_kS @ k, e_kS @ v)


ATTENTIONS: Mapping[str, type[Projected]] = {
    "transformer": Softmax,
    "performer": Performer,
    "linformer": Linformer,
    "linear_attention": Linear,
    "longformer": Window,
}
