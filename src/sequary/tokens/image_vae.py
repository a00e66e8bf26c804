"""Continuous image tokens: a variational autoencoder (Kingma & Welling, arXiv 1312.6114), whose latents are not quantised."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.tokens.image_conv import ConvCoder
from sequary.tokens.images import ImageCoder, ImageTokenizer

LEAST, MOST = -20.0, 10.0
"""Bounds of the log variance."""


class ImageVAE(ImageTokenizer):
    """q(z|x) = N(μ, σ²) with (μ, log σ²) = E(x); tokens are `scale` · μ on `grid`, [B, T, code], row by row; x̂ = D(z).

    Learns from a draw z, with `weight` · KL(q ‖ N(0, 1)) a latent value, in nats. `scale` brings the tokens to about unit deviation.
    """

    tiny = {
        "code": 4,
        "grid": (2, 2),
        "coder": part(ConvCoder, channels=3, width=8, multiples=(1, 1), groups=2),
    }
    toy = {"values": lambda seed: torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(seed))}
    exempt = {"inverse": "decode(encode(x)) = D(μ(x)) is a learnt inverse: before learning D is any map"}

    def __init__(
        self,
        dim: int,
        *,
        code: int,
        grid: tuple[int, int],
        coder: Part[ImageCoder],
        scale: float = 1.0,
        weight: float = 1e-3,
    ) -> None:
        super().__init__()
        self.grid, self.scale, self.weight = grid, scale, weight
        self.coder = coder.but(outputs=2).build(Place(code))

    def encode(self, values: Tensor) -> Tensor:
        mean = self.coder.encoder(values).chunk(2, 1)[0]
        if tuple(mean.shape[2:]) != self.grid:
            raise ValueError(
                f"images {tuple(values.shape[2:])} give a grid of {tuple(mean.shape[2:])}, not {self.grid}"
            )
        return self.scale * rearrange(mean, "b c h w -> b (h w) c")

    def decode(self, tokens: Tensor) -> Tensor:
        return self.coder.decoder(rearrange(tokens / self.scale, "b (h w) c -> b c h w", h=self.grid[0]))

    def learn(self, images_BCHW: Tensor, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        mean, log_var = self.coder.encoder(images_BCHW).chunk(2, 1)
        log_var = log_var.clamp(LEAST, MOST)
        draw = torch.randn(mean.shape, generator=rng, device=rng.device, dtype=mean.dtype).to(mean.device)
        kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).mean()
        return self.coder.decoder(mean + draw * (0.5 * log_var).exp()), {"kl": self.weight * kl}
