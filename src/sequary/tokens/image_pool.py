"""The convolutional encoder and decoder of MaskGIT's VQGAN (Chang et al., arXiv 2202.04200): no attention, average pooling."""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.tokens.images import ImageCoder

EPS = 1e-6


class PoolBlock(nn.Module):
    """[B, dim, …] -> [B, out, …]: shortcut + conv(silu(norm(conv(silu(norm(x))))))."""

    def __init__(self, dim: int, *, out: int | None = None, groups: int = 8) -> None:
        super().__init__()
        wide = dim if out is None else out
        self.norm1 = nn.GroupNorm(groups, dim, eps=EPS)
        self.conv1 = nn.Conv2d(dim, wide, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(groups, wide, eps=EPS)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, bias=False)
        self.changes = dim != wide

    def branch(self, x: Tensor) -> Tensor:
        return self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))


class Kept(PoolBlock):
    """The shortcut is the input, or a 1 × 1 map of it where the width changes."""

    def __init__(self, dim: int, *, out: int | None = None, groups: int = 8) -> None:
        super().__init__(dim, out=out, groups=groups)
        wide = dim if out is None else out
        self.shortcut = nn.Conv2d(dim, wide, 1, bias=False) if self.changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.branch(x)


class Lost(PoolBlock):
    """As in the released weights: where the width changes, the shortcut maps the branch's own output, and the input is lost."""

    def __init__(self, dim: int, *, out: int | None = None, groups: int = 8) -> None:
        super().__init__(dim, out=out, groups=groups)
        wide = dim if out is None else out
        self.shortcut = nn.Conv2d(wide, wide, 1, bias=False) if self.changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch(x)
        return y + self.shortcut(y if self.changes else x)


def run(inside: int, outside: int, blocks: int, block: Part[PoolBlock]) -> nn.Sequential:
    widths = [inside] + [outside] * blocks
    return nn.Sequential(*(block.but(out=o).build(Place(i)) for i, o in itertools.pairwise(widths)))


class PoolEncoder(nn.Module):
    """[B, channels, H, W] -> [B, dim, H', W'], H' = H / 2^(levels − 1), by 2 × 2 averages between the levels."""

    def __init__(
        self, dim: int, channels: int, width: int, multiples: tuple[int, ...], blocks: int, block: Part[PoolBlock]
    ) -> None:
        super().__init__()
        widths = [width] + [width * m for m in multiples]
        self.first = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.levels = nn.ModuleList(run(widths[i], w, blocks, block) for i, w in enumerate(widths[1:]))
        self.middle = run(widths[-1], widths[-1], blocks, block)
        self.norm = nn.GroupNorm(block.get("groups", 8), widths[-1], eps=EPS)
        self.last = nn.Conv2d(widths[-1], dim, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.first(images)
        for i, level in enumerate(self.levels):
            x = level(x if i == 0 else F.avg_pool2d(x, 2))
        return self.last(F.silu(self.norm(self.middle(x))))


class PoolDecoder(nn.Module):
    """[B, dim, H', W'] -> [B, channels, H, W]: each cell repeated and convolved between the levels."""

    def __init__(
        self, dim: int, channels: int, width: int, multiples: tuple[int, ...], blocks: int, block: Part[PoolBlock]
    ) -> None:
        super().__init__()
        widths = [width * m for m in multiples]
        widths.append(widths[-1])
        self.first = nn.Conv2d(dim, widths[-1], 3, padding=1)
        self.middle = run(widths[-1], widths[-1], blocks, block)
        self.levels = nn.ModuleList(run(widths[i + 1], w, blocks, block) for i, w in enumerate(widths[:-1]))
        self.ups = nn.ModuleList(nn.Conv2d(w, w, 3, padding=1) for w in widths[1:-1])
        self.norm = nn.GroupNorm(block.get("groups", 8), widths[0], eps=EPS)
        self.last = nn.Conv2d(widths[0], channels, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        x = self.middle(self.first(latents))
        for i in reversed(range(len(self.levels))):
            x = self.levels[i](x)
            if i:
                x = self.ups[i - 1](F.interpolate(x, scale_factor=2, mode="nearest"))
        return self.last(F.silu(self.norm(x)))


class PoolCoder(ImageCoder):
    """Encoder and decoder of the same sizes."""

    def __init__(
        self,
        dim: int,
        *,
        channels: int,
        width: int = 32,
        multiples: tuple[int, ...] = (1, 2, 2),
        blocks: int = 1,
        block: Part[PoolBlock] = part(Kept, groups=8),
        outputs: int = 1,
    ) -> None:
        super().__init__()
        sizes = (channels, width, multiples, blocks, block)
        self.encoder, self.decoder = PoolEncoder(outputs * dim, *sizes), PoolDecoder(dim, *sizes)
