"""A fitted image generator: classes in, images out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from sequary.core.contracts import Decoder
from sequary.core.values import Batch
from sequary.data.images import to_pixels
from sequary.tasks.fitted import Fit
from sequary.tasks.image_tokens import Rebuilt
from sequary.train.learning import evaluating

AT_ONCE = 64
"""Images that are decoded together."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fitted(Fit):
    """`context`: pixels of a side of what the model makes; images of `height` × `width` are its middle."""

    task: ClassVar[str] = "generate"
    height: int
    width: int
    channels: Literal[1, 3]
    classes: tuple[str, ...]
    """Their names; none where the images had no labels."""
    rebuilt: Rebuilt
    """What the tokenizer keeps of images that were held out."""

    def draw(self, codes: Sequence[int] | NDArray[np.int64], *, decode: Decoder, seed: int) -> NDArray[np.uint8]:
        """[n, H, W, C], one image for each class, by number; `len(classes)` means none. Same seed and classes, same images."""
        where = torch.device(self.device)
        cond = torch.as_tensor(np.asarray(codes, dtype=np.int64), device=where)
        rng = torch.Generator(where).manual_seed(seed)
        with torch.no_grad(), evaluating(self.model):
            made = [
                decode(self.model, Batch(values=torch.zeros(len(some), 0, device=where), cond=some), rng).raw
                for some in cond.split(AT_ONCE)
            ]
        return np.concatenate([to_pixels(each, self.height, self.width) for each in made])
