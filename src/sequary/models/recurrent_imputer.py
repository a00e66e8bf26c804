"""BRITS: gaps filled by recurrences from both sides (Cao et al., 2018, arXiv 1805.10572), here with a gated recurrent unit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sequary.core.contracts import Model
from sequary.core.ctx import Tape
from sequary.core.place import Place
from sequary.core.values import Batch, Output
from sequary.heads.estimates import Estimates


class RecurrentImputer(Model):
    """values [B, T, C], 0 where not `observed` [B, T, C] -> hidden [B, T, C]: an estimate of every entry, observed or not.

    The mean of two directions, of any length T. Extra: the three estimates of each: "ahead.history", "ahead.channels",
    "ahead.both", and the same of "back".
    """

    tiny = {"channels": 2}

    def __init__(self, dim: int, *, channels: int, place: Place | None = None) -> None:
        super().__init__()
        self.ahead, self.back = _Direction(dim, channels), _Direction(dim, channels)
        self.heads = nn.ModuleDict({"main": Estimates(dim)})

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        x = batch.values
        m = torch.ones_like(x) if batch.observed is None else batch.observed.to(x.dtype)
        ahead = self.ahead(x, m)
        back = {name: said.flip(1) for name, said in self.back(x.flip(1), m.flip(1)).items()}
        extra = {f"ahead.{n}": said for n, said in ahead.items()} | {f"back.{n}": said for n, said in back.items()}
        return Output((ahead["both"] + back["both"]) / 2, extra=extra)


class _Direction(nn.Module):
    """From the first step to the last, with δ the steps since a channel was last seen and m what is observed:

    h ← exp(−relu(W δ + b)) ⊙ h; x̂ = W_x h; ẑ = W_z [m x + (1 − m) x̂] with a zero diagonal, so that no channel tells itself;
    β = σ(W_β [exp(−relu(w ⊙ δ + b)), m]); ĉ = β ẑ + (1 − β) x̂; h ← GRU([m x + (1 − m) ĉ, m], h).
    """

    def __init__(self, dim: int, channels: int) -> None:
        super().__init__()
        self.forget = nn.Linear(channels, dim)
        self.history, self.others = nn.Linear(dim, channels), nn.Linear(channels, channels)
        self.fade = nn.Parameter(torch.rand(2, channels) * 0.1)
        self.blend = nn.Linear(2 * channels, channels)
        self.cell = nn.GRUCell(2 * channels, dim)

    def forward(self, x_BTC: Tensor, m_BTC: Tensor) -> dict[str, Tensor]:
        """{"history": x̂, "channels": ẑ, "both": ĉ}, each [B, T, C]."""
        h = x_BTC.new_zeros(len(x_BTC), self.cell.hidden_size)
        gap = torch.zeros_like(x_BTC[:, 0])
        others = self.others.weight * (1 - torch.eye(x_BTC.shape[-1], dtype=x_BTC.dtype, device=x_BTC.device))
        said: dict[str, list[Tensor]] = {"history": [], "channels": [], "both": []}
        for x, m in zip(x_BTC.unbind(1), m_BTC.unbind(1), strict=True):
            h = h * (-self.forget(gap).relu()).exp()
            past = self.history(h)
            channels = nn.functional.linear(m * x + (1 - m) * past, others, self.others.bias)
            faded = (-(self.fade[0] * gap + self.fade[1]).relu()).exp()
            beta = self.blend(torch.cat((faded, m), -1)).sigmoid()
            both = beta * channels + (1 - beta) * past
            h = self.cell(torch.cat((m * x + (1 - m) * both, m), -1), h)
            gap = 1 + (1 - m) * gap
            for name, estimate in (("history", past), ("channels", channels), ("both", both)):
                said[name].append(estimate)
        return {name: torch.stack(steps, 1) for name, steps in said.items()}
