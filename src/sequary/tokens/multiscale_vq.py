"""VAR's tokenizer: an image as token maps from 1 × 1 up, each coding what the coarser ones leave (arXiv 2404.02905, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.tokens.codebook import Codebook, Euclidean
from sequary.tokens.image_conv import ConvCoder
from sequary.tokens.images import ImageCoder, ImageTokenizer
from sequary.tokens.vq import LOSSY, STEP


class Refine(nn.Module):
    """(1 − mix) · x + mix · conv(x)."""

    def __init__(self, width: int, mix: float) -> None:
        super().__init__()
        self.mix, self.conv = mix, nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x * (1 - self.mix) + self.conv(x) * self.mix


def shares(scales: int, count: int) -> list[int]:
    """Which of `count` convolutions each scale uses: the nearest of `count` ticks to k / (K − 1); ends drawn in as in the source."""
    margin = 1 / 3 / count if count == 4 else 1 / 2 / count
    ticks = np.linspace(margin, 1 - margin, count)
    return [int(np.abs(ticks - k / max(1, scales - 1)).argmin()) for k in range(scales)]


class MultiScaleVQ(ImageTokenizer):
    """f = E(x); for each side n of `scales`: r_k = argmin_v ‖area(f − f̂, n) − e_v‖, f̂ ← f̂ + refine(bicubic(e_{r_k})); x̂ = D(f̂).

    Tokens [B, Σ n²]: the maps one after another, each row by row. One codebook for all scales, `refiners` convolutions shared among
    them, mixed in by `mix` (0: none).
    """

    tiny = {
        "vocab": 11,
        "code": 4,
        "scales": (1, 2, 3),
        "coder": part(ConvCoder, channels=3, width=8, multiples=(1, 1), groups=2),
    }
    toy = {"values": lambda seed: torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(seed))}
    exempt = {"inverse": LOSSY, "gradients": STEP}

    def __init__(
        self,
        dim: int,
        *,
        vocab: int,
        code: int,
        scales: tuple[int, ...],
        coder: Part[ImageCoder],
        codebook: Part[Codebook] | None = None,
        refiners: int = 4,
        mix: float = 0.5,
        commitment: float = 0.25,
    ) -> None:
        super().__init__()
        at = Place(code)
        self.scales, self.commitment = scales, commitment
        self.coder = coder.build(at)
        self.before, self.after = (nn.Conv2d(code, code, 3, padding=1) for _ in range(2))
        self.codebook = (part(Euclidean, vocab=vocab) if codebook is None else codebook).build(at)
        self.refiners = nn.ModuleList(Refine(code, mix) for _ in range(refiners if mix else 0))
        self.shared = shares(len(scales), refiners)

    def features(self, images_BCHW: Tensor) -> Tensor:
        """[B, code, n, n], n the last scale."""
        f = self.before(self.coder.encoder(images_BCHW))
        if tuple(f.shape[2:]) != (self.scales[-1], self.scales[-1]):
            raise ValueError(
                f"images {tuple(images_BCHW.shape[2:])} give {tuple(f.shape[2:])} cells; scales={self.scales}"
            )
        return f

    def groups(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """[B, Σ n²] -> one [B, n²] for each scale."""
        return tokens.split([n * n for n in self.scales], 1)

    def spread(self, codes_BN: Tensor, k: int) -> Tensor:
        """What the map of scale k adds to f̂: [B, code, n, n]."""
        side = self.scales[-1]
        h = rearrange(self.codebook(codes_BN), "b (h w) c -> b c h w", h=self.scales[k])
        if self.scales[k] != side:
            h = F.interpolate(h, size=(side, side), mode="bicubic")
        return self.refiners[self.shared[k]](h) if len(self.refiners) else h

    def quantise(self, f_BCHW: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The codes of each scale, and f̂ after it."""
        rest, hat = f_BCHW.detach(), torch.zeros_like(f_BCHW)
        codes: list[Tensor] = []
        hats: list[Tensor] = []
        for k, n in enumerate(self.scales):
            codes.append(self.codebook.nearest(self._resized(rest, n)))
            h = self.spread(codes[-1], k)
            hat, rest = hat + h, rest - h.detach()
            hats.append(hat)
        return codes, hats

    def context(self, groups: Sequence[Tensor], k: int) -> Tensor:
        """[B, n_k², code]: what is read to predict scale k >= 1, from the decoded maps of the k scales before it."""
        hat = torch.stack([self.spread(codes, i) for i, codes in enumerate(groups[:k])]).sum(0)
        return self._resized(hat, self.scales[k])

    def inputs(self, tokens: Tensor) -> Tensor:
        """[B, T, code]: the contexts of all scales; zeros at the first, which knows nothing."""
        groups = self.groups(tokens)
        hat = torch.zeros_like(self.spread(groups[0], 0))
        read = [self._resized(hat, self.scales[0])]
        for k, n in enumerate(self.scales[1:]):
            hat = hat + self.spread(groups[k], k)
            read.append(self._resized(hat, n))
        return torch.cat(read, 1)

    def encode(self, values: Tensor) -> Tensor:
        return torch.cat(self.quantise(self.features(values))[0], 1)

    def decode(self, tokens: Tensor) -> Tensor:
        hat = torch.stack([self.spread(codes, k) for k, codes in enumerate(self.groups(tokens))]).sum(0)
        return self.picture(hat)

    def picture(self, f_BCHW: Tensor) -> Tensor:
        return self.coder.decoder(self.after(f_BCHW))

    def learn(self, images_BCHW: Tensor, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The quantiser's term: mean over scales of ‖f̂_k − sg(f)‖² + commitment · ‖sg(f̂_k) − f‖²."""
        f = self.features(images_BCHW)
        _, hats = self.quantise(f)
        pulls = [F.mse_loss(h, f.detach()) + self.commitment * F.mse_loss(f, h.detach()) for h in hats]
        return self.picture(f + (hats[-1] - f).detach()), {"quantiser": torch.stack(pulls).mean()}

    def _resized(self, f_BCHW: Tensor, n: int) -> Tensor:
        """[B, n², code]."""
        return rearrange(F.interpolate(f_BCHW, size=(n, n), mode="area"), "b c h w -> b (h w) c")
