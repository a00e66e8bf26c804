"""Attention that can tell positions apart by offsets alone (Luo et al., Your Transformer May Not be as Powerful as You Expect).

arXiv 2205.13401, eq. 6: a Toeplitz matrix multiplies the weights after the softmax, so that their rows need not sum to 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.offsets import EachOffset, Offsets
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.ops.attend import weights
from sequary.ops.dropout import Dropout


class UniversalAttention(Mixer):
    """o_t = Σ_s softmax_s(q_t·k_s / √K + b_{s−t}) c_{s−t} v_s: equal tokens at different places may come out different.

    `bias` b and `factor` c are one for each head and offset; None: 0 and 1. Without c it is attention with relative positions, whose
    output is the same at all places where all tokens are equal.
    """

    tiny = {
        "heads": 2,
        "bias": part(EachOffset, heads=2, span=5),
        "factor": part(EachOffset, heads=2, span=5, start=1.0),
    }
    orders = True

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        bias: Part[Offsets] | None = None,
        factor: Part[Offsets] | None = None,
        dropout: float = 0.0,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        self.heads, here = heads, Place.here(place, dim)
        check_heads(dim, heads)
        self.qkv = QKV(dim, width=dim, bias=True)
        self.bias = None if bias is None else bias.build(here)
        self.factor = None if factor is None else factor.build(here)
        self.o = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        batch, length, _ = x_BTD.shape
        q, k, v = self.qkv(x_BTD, None, self.heads)
        # Steps are counted with the gaps between them: padding moves no offset.
        at = torch.arange(length, device=x_BTD.device)[None] if ctx.positions is None else ctx.positions
        offset_BTS = at[:, None, :] - at[:, :, None]
        bias = None if self.bias is None else self.bias(offset_BTS).transpose(0, 1)
        a_BHTS = weights(q, k, sees=ctx.sees(batch, length, x_BTD.device, causal=False), bias=bias)
        if self.factor is not None:
            a_BHTS = a_BHTS * self.factor(offset_BTS).transpose(0, 1)
        ctx.tell("attention", lambda: a_BHTS)
        return self.dropout(self.o(join(a_BHTS @ v)))
