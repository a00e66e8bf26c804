"""Parts of facebookresearch/mega that its converter needs: activations, norms and tables of angles, by the source's names."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.blocks.norms import BatchNorm, LayerNorm, Norm, RMSNorm
from sequary.core.part import Part, part
from sequary.mixers.attention.position_bias import RotaryBias
from sequary.mixers.attention.single_head import laplace
from sequary.mixers.linear.features import relu, silu, squared_relu
from sequary.mixers.mlp.activations import Activation

Function = Callable[[Tensor], Tensor]
WEIGHS: Mapping[str, Function | None] = {"softmax": None, "laplace": laplace, "relu2": squared_relu}
ACTIVATIONS: Mapping[str, Function] = {
    "silu": silu, "relu": relu, "relu2": squared_relu, "gelu": F.gelu, "tanh": torch.tanh, "linear": nn.Identity(),
    "gelu_fast": lambda x: F.gelu(x, approximate="tanh"), "gelu_accurate": lambda x: F.gelu(x, approximate="tanh"),
}  # fmt: skip
NORMS: Mapping[str, Part[Norm]] = {
    "layernorm": part(LayerNorm), "rmsnorm": part(RMSNorm, eps=1e-5), "scalenorm": part(RMSNorm, eps=1e-5),
    "batchnorm": part(BatchNorm), "syncbatchnorm": part(BatchNorm),
}  # fmt: skip


class Named(Activation):
    """One of the source's activations, by its name."""

    def __init__(self, dim: int, *, name: str) -> None:
        super().__init__(dim)
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        return ACTIVATIONS[self.name](x)


class NarrowAngles(RotaryBias):
    """Sines and cosines from a table in float32 of `longest` places (of a chunk, where there are chunks), as the source has them."""

    def __init__(self, dim: int, *, longest: int, chunked: bool) -> None:
        super().__init__(dim)
        self.longest, self.chunked = longest, chunked

    def turned(self, x_BHTK: Tensor, at_BT: Tensor) -> Tensor:
        half = x_BHTK.shape[-1] // 2
        rate = torch.exp(torch.arange(half, dtype=torch.float) * -(math.log(10_000) / half))
        longest = self.longest if self.chunked else max(self.longest, x_BHTK.shape[-2])
        angle = torch.arange(longest, dtype=torch.float)[:, None] * rate
        sin, cos = (t.to(x_BHTK)[at_BT % longest][:, None] for t in (angle.sin(), angle.cos()))
        a, b = x_BHTK.chunk(2, -1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)
