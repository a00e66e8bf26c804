"""Attention among the tokens that a gate selects, packed over all rows of the batch (Zhang et al., arXiv 2410.23608)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.mixers.attention.projection import QKV, check_heads, join
from sequary.ops.attend import attend
from sequary.ops.forms import chosen
from sequary.ops.packing import containers


class SelectedAttention(Mixer):
    """g_t = σ(w·x_t + b); o_t = g_t W_o Σ_s softmax_s(q_t·k_s / √K) v_s over s with g_s > `threshold`, for such t; 0 for others.

    As many tokens of a row as the row asks for. Forms: "packed" (selected tokens of all rows in containers, where no row reads another;
    the rest is never projected) and "reference" (all tokens under a mask; also where shapes may not depend on data: compile, export).
    The tape hears the gate's logits, "selection" [B, T], which a loss may hold against labels.
    """

    tiny = {"heads": 2}
    exempt = {
        "cost": "work is c n² for the n = Σ_t [g_t > threshold] selected tokens, and n / T is another at each length"
    }
    orders = True

    def __init__(self, dim: int, *, heads: int = 4, threshold: float = 0.5, bias: bool = True) -> None:
        super().__init__()
        check_heads(dim, heads)
        self.heads, self.threshold = heads, threshold
        self.gate = nn.Linear(dim, 1)
        self.qkv = QKV(dim, width=dim, bias=bias)
        self.o = nn.Linear(dim, dim, bias=bias)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        # In float32 at least, under autocast too, which rounds products of matrices: a rounded logit would select other tokens.
        wide = torch.promote_types(x_BTD.dtype, torch.float32)
        logits = (x_BTD.to(wide) * self.gate.weight[0].to(wide)).sum(-1) + self.gate.bias.to(wide)
        ctx.tell("selection", lambda: logits)
        score = logits.sigmoid()
        selected = score > self.threshold if ctx.mask is None else (score > self.threshold) & ctx.mask
        fixed = torch.compiler.is_compiling() or torch.compiler.is_exporting() or x_BTD.device.type == "meta"
        mix = self._masked if chosen("reference" if fixed else "packed") == "reference" else self._packed
        return mix(x_BTD, ctx, selected) * score[..., None].to(x_BTD.dtype)

    def _masked(self, x_BTD: Tensor, ctx: Ctx, selected: Tensor) -> Tensor:
        sees = ctx.sees(x_BTD.shape[0], x_BTD.shape[1], x_BTD.device, causal=False)
        among = selected[:, None, :] & selected[:, :, None]
        return self._attended(x_BTD, among if sees is None else sees & among) * selected[..., None]

    def _packed(self, x_BTD: Tensor, ctx: Ctx, selected: Tensor) -> Tensor:
        index_GL = containers(selected)
        if not index_GL.numel():
            return torch.zeros_like(x_BTD)
        at = index_GL.clamp(min=0)
        row, real = index_GL // x_BTD.shape[1], index_GL >= 0
        sees = (row[:, :, None] == row[:, None, :]) & real[:, None, :]
        if ctx.segments is not None:
            segment = ctx.segments.flatten()[at]
            sees = sees & (segment[:, :, None] == segment[:, None, :])
        if ctx.order is not None:
            known = ctx.order.flatten()[at]
            sees = sees & (known[:, None, :] <= known[:, :, None])
        y_GLD = self._attended(x_BTD.flatten(0, 1)[at], sees)
        out = y_GLD.new_zeros(x_BTD.shape[0] * x_BTD.shape[1], x_BTD.shape[2])
        return out.index_put((index_GL[real],), y_GLD[real]).view_as(x_BTD)

    def _attended(self, x_BTD: Tensor, sees: Tensor) -> Tensor:
        q, k, v = self.qkv(x_BTD, None, self.heads)
        return self.o(join(attend(q, k, v, sees=sees)))
