"""Images <-> tokens, both ways: what models that make images stand on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Tokens


class ImageTokenizer(Tokens):
    """[B, C, H, W] <-> tokens: codes [B, T] or vectors [B, T, C]. Lossy, and learnt."""

    def inputs(self, tokens: Tensor) -> Tensor:
        """What a model over the tokens reads when all are given; at t it holds nothing that is decoded after t's group."""
        return tokens

    def learn(self, images_BCHW: Tensor, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """(the images as they come back, differentiable; the further terms of the loss, weighted)."""
        raise NotImplementedError


class ImageCoder(nn.Module):
    """Two networks: `encoder` [B, C, H, W] -> [B, outputs · dim, H', W'], `decoder` [B, dim, H', W'] -> [B, C, H, W]."""

    encoder: nn.Module
    decoder: nn.Module
