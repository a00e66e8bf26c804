"""The convolutional encoder and decoder of VQGAN (Esser et al., arXiv 2012.09841), as VAR's tokenizer has them."""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn

from sequary.ops.attend import attend
from sequary.tokens.images import ImageCoder

EPS = 1e-6


class Residual(nn.Module):
    """x' + conv(silu(norm(conv(silu(norm(x)))))), x' = x, or a 1 × 1 map of it where the width changes."""

    def __init__(self, inside: int, outside: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inside, eps=EPS)
        self.conv1 = nn.Conv2d(inside, outside, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, outside, eps=EPS)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1)
        self.shortcut = nn.Identity() if inside == outside else nn.Conv2d(inside, outside, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x)))
        return self.shortcut(x) + self.conv2(F.silu(self.norm2(y)))


class Attend(nn.Module):
    """Every cell attends to all, one head, on a residual branch."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, width, eps=EPS)
        self.qkv = nn.Conv2d(width, 3 * width, 1)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).unsqueeze(1).chunk(3, -1)
        return x + self.out(attend(q, k, v).squeeze(1).transpose(1, 2).unflatten(2, x.shape[2:]))


class Down(nn.Module):
    """Half the side: one zero on the right and below, then a convolution of stride 2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Up(nn.Module):
    """Twice the side: each cell repeated, then a convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class Level(nn.Module):
    """`blocks` residual blocks, each followed by attention if it `attends`, then a change of size."""

    def __init__(self, inside: int, outside: int, blocks: int, groups: int, attends: bool, resize: nn.Module) -> None:
        super().__init__()
        widths = [inside] + [outside] * blocks
        self.blocks = nn.ModuleList(Residual(i, o, groups) for i, o in itertools.pairwise(widths))
        self.attend = nn.ModuleList(Attend(outside, groups) if attends else nn.Identity() for _ in range(blocks))
        self.resize = resize

    def forward(self, x: Tensor) -> Tensor:
        for block, look in zip(self.blocks, self.attend, strict=True):
            x = look(block(x))
        return self.resize(x)


def middle(width: int, groups: int) -> nn.Sequential:
    return nn.Sequential(Residual(width, width, groups), Attend(width, groups), Residual(width, width, groups))


class ConvEncoder(nn.Module):
    """[B, channels, H, W] -> [B, dim, H', W'], H' = H / 2^(levels − 1); level i has width · multiples[i] features.

    The coarsest level and the middle attend.
    """

    def __init__(
        self, dim: int, channels: int, width: int, multiples: tuple[int, ...], blocks: int, groups: int
    ) -> None:
        super().__init__()
        widths = [width] + [width * m for m in multiples]
        last = len(multiples) - 1
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.levels = nn.ModuleList(
            Level(widths[i], w, blocks, groups, i == last, nn.Identity() if i == last else Down(w))
            for i, w in enumerate(widths[1:])
        )
        self.middle = middle(widths[-1], groups)
        self.norm = nn.GroupNorm(groups, widths[-1], eps=EPS)
        self.last = nn.Conv2d(widths[-1], dim, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.first(images)
        for level in self.levels:
            x = level(x)
        return self.last(F.silu(self.norm(self.middle(x))))


class ConvDecoder(nn.Module):
    """[B, dim, H', W'] -> [B, channels, H, W]: the encoder's levels backwards, with one block more in each."""

    def __init__(
        self, dim: int, channels: int, width: int, multiples: tuple[int, ...], blocks: int, groups: int
    ) -> None:
        super().__init__()
        widths = [width * m for m in multiples]
        widths.append(widths[-1])
        last = len(multiples) - 1
        self.first = nn.Conv2d(dim, widths[-1], 3, padding=1)
        self.middle = middle(widths[-1], groups)
        self.levels = nn.ModuleList(  # finest first, run from the last
            Level(widths[i + 1], w, blocks + 1, groups, i == last, Up(w) if i else nn.Identity())
            for i, w in enumerate(widths[:-1])
        )
        self.norm = nn.GroupNorm(groups, widths[0], eps=EPS)
        self.last = nn.Conv2d(widths[0], channels, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        x = self.middle(self.first(latents))
        for level in reversed(self.levels):
            x = level(x)
        return self.last(F.silu(self.norm(x)))


class ConvCoder(ImageCoder):
    """Encoder and decoder of the same sizes."""

    def __init__(
        self,
        dim: int,
        *,
        channels: int,
        width: int = 32,
        multiples: tuple[int, ...] = (1, 2, 2),
        blocks: int = 1,
        groups: int = 8,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        sizes = (channels, width, multiples, blocks, groups)
        self.encoder, self.decoder = ConvEncoder(outputs * dim, *sizes), ConvDecoder(dim, *sizes)
