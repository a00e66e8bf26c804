"""A vector-quantised image: each cell of a grid is one code (van den Oord et al., arXiv 1711.00937)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.tokens.codebook import Codebook, Euclidean
from sequary.tokens.image_pool import Kept, PoolCoder
from sequary.tokens.images import ImageCoder, ImageTokenizer

LOSSY = "decode(encode(x)) = D(e_argmin ‖E(x) − e_v‖²): the codes hold less than the image"
STEP = "codes are an argmin, whose derivative is 0; `learn` passes gradients straight through"


class VQ(ImageTokenizer):
    """codes = argmin_v ‖E(x) − e_v‖² on `grid` cells, row by row; x̂ = D(e_codes).

    Learns by the gradient passed straight through, z + sg(e − z), with `codebook` · ‖sg(z) − e‖² + `commitment` · ‖z − sg(e)‖².
    """

    tiny = {
        "vocab": 11,
        "code": 4,
        "grid": (2, 2),
        "coder": part(PoolCoder, channels=3, width=8, multiples=(1, 1), block=part(Kept, groups=2)),
    }
    toy = {"values": lambda seed: torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(seed))}
    exempt = {"inverse": LOSSY, "gradients": STEP}

    def __init__(
        self,
        dim: int,
        *,
        vocab: int,
        code: int,
        grid: tuple[int, int],
        coder: Part[ImageCoder],
        codebook: float = 1.0,
        commitment: float = 0.25,
    ) -> None:
        super().__init__()
        at = Place(code)
        self.grid, self.pulls = grid, (codebook, commitment)
        self.coder = coder.build(at)
        self.codebook: Codebook = Euclidean(code, vocab=vocab)

    def features(self, images_BCHW: Tensor) -> Tensor:
        """[B, H', W', code]."""
        z = self.coder.encoder(images_BCHW)
        if tuple(z.shape[2:]) != self.grid:
            raise ValueError(
                f"images {tuple(images_BCHW.shape[2:])} give a grid of {tuple(z.shape[2:])}, not {self.grid}"
            )
        return rearrange(z, "b c h w -> b h w c")

    def encode(self, values: Tensor) -> Tensor:
        return self.codebook.nearest(self.features(values)).flatten(1)

    def decode(self, tokens: Tensor) -> Tensor:
        return self.picture(self.codebook(tokens.unflatten(1, self.grid)))

    def picture(self, z_BHWC: Tensor) -> Tensor:
        return self.coder.decoder(rearrange(z_BHWC, "b h w c -> b c h w"))

    def learn(self, images_BCHW: Tensor, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        z = self.features(images_BCHW)
        e = self.codebook(self.codebook.nearest(z))
        to_codes, to_encoder = self.pulls
        pull = to_codes * F.mse_loss(e, z.detach()) + to_encoder * F.mse_loss(z, e.detach())
        return self.picture(z + (e - z).detach()), {"quantiser": pull}
