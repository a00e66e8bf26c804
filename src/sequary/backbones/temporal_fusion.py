"""The network of the Temporal Fusion Transformer between its embedded variables and its head (Lim et al., arXiv 1912.09363)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sequary.condition.covariates import Variables
from sequary.condition.selection import VariableSelection
from sequary.core.contracts import Member
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.shared_value import SharedValueAttention
from sequary.mixers.mlp.gated_residual import GRN, Gate

Lengths = tuple[Tensor, Tensor]
"""Real steps [R] of look-back and horizon in ragged rows; their padding is at the end of each."""
CONTEXTS = ("selection", "hidden", "cell", "enrichment")


class TemporalFusion(Member):
    """Variables of R rows -> [R, H, D]: select, LSTM encoder and decoder, static enrichment, attention, each behind a gate.

    Statics give four contexts c by a GRN each: c_selection joins the selection, c_hidden and c_cell start every layer of the
    LSTM, c_enrichment joins the GRN before attention. Without statics the contexts are learned constants; without variables
    known beforehand the decoder reads a learned constant. Queries are the steps of the horizon: step i sees the look-back
    and the horizon up to step i + `reach` (0 in the paper; None: all of it).

    Tape: "selection", weights [R, V], [R, L, V], [R, H, V] (V = 0 where there is none); "attention" [R, heads, H, L + H].
    """

    tiny = {"past": part(VariableSelection, widths=(3, 2))}

    def __init__(
        self,
        dim: int,
        *,
        past: Part[VariableSelection],
        static: Part[VariableSelection] | None = None,
        future: Part[VariableSelection] | None = None,
        attention: Part[SharedValueAttention] = part(SharedValueAttention),
        grn: Part[GRN] = part(GRN),
        layers: int = 1,
        reach: int | None = 0,
        dropout: float = 0.0,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.layers, self.reach = layers, reach
        self.static = None if static is None else static.build(here)
        self.contexts = None if static is None else nn.ModuleDict({name: grn.build(here) for name in CONTEXTS})
        self.constants = None if static is not None else nn.Parameter(0.02 * torch.randn(len(CONTEXTS), dim))
        self.past = past.but(context=dim).build(here)
        self.future = None if future is None else future.but(context=dim).build(here)
        self.unknown = None if future is not None else nn.Parameter(0.02 * torch.randn(dim))
        between = dropout if layers > 1 else 0.0
        self.encoder = nn.LSTM(dim, dim, layers, batch_first=True, dropout=between)
        self.decoder = nn.LSTM(dim, dim, layers, batch_first=True, dropout=between)
        self.local = Gate(dim, dropout=dropout)
        self.enrich = grn.but(context=dim).build(here)
        self.attention = attention.build(here)
        self.attended = Gate(dim, dropout=dropout)
        self.feed = grn.build(here)
        self.out = Gate(dim)

    def forward(self, variables: Variables, horizon: int, ctx: Ctx = Ctx(), lengths: Lengths | None = None) -> Tensor:
        look = variables.past[0].shape[1]
        c_selection, c_hidden, c_cell, c_enrichment = self._contexts(variables, ctx)
        x_past, weights = self.past(variables.past, c_selection[:, None])
        ctx.tell("selection", lambda: weights)
        x_future = self._ahead(variables, horizon, c_selection, ctx)
        start = tuple(c.expand(self.layers, -1, -1).contiguous() for c in (c_hidden, c_cell))
        before, state = run(self.encoder, x_past, start, None if lengths is None else lengths[0])
        after, _ = run(self.decoder, x_future, state, None if lengths is None else lengths[1])
        local = self.local(torch.cat((before, after), 1), torch.cat((x_past, x_future), 1))
        enriched = self.enrich(local, c_enrichment[:, None])
        query = enriched[:, look:]
        sees = self._sees(look, horizon, query, lengths)
        attended = self.attended(self.attention.read(query, enriched, sees, ctx), query)
        return self.out(self.feed(attended), local[:, look:])

    def _contexts(self, variables: Variables, ctx: Ctx) -> list[Tensor]:
        """Four of [R, D]."""
        first = variables.past[0]
        if self.static is None or self.contexts is None:
            assert self.constants is not None
            ctx.tell("selection", lambda: first.new_zeros(len(first), 0))
            return list(self.constants[:, None].expand(-1, len(first), -1))
        statics, weights = self.static(variables.static)
        ctx.tell("selection", lambda: weights)
        return [grn(statics) for grn in self.contexts.values()]

    def _ahead(self, variables: Variables, horizon: int, context: Tensor, ctx: Ctx) -> Tensor:
        """[R, H, D]."""
        if self.future is None:
            assert self.unknown is not None
            ctx.tell("selection", lambda: context.new_zeros(len(context), horizon, 0))
            return self.unknown.expand(len(context), horizon, -1)
        x, weights = self.future(variables.future, context[:, None])
        ctx.tell("selection", lambda: weights)
        return x

    def _sees(self, look: int, horizon: int, like: Tensor, lengths: Lengths | None) -> Tensor:
        """[R, H, L + H] bool."""
        step = torch.arange(horizon, device=like.device)
        furthest = horizon if self.reach is None else self.reach
        ahead = (step[None, :] <= step[:, None] + furthest).expand(len(like), -1, -1)
        behind = ahead.new_ones(len(like), horizon, look)
        if lengths is not None:
            behind = behind & (torch.arange(look, device=like.device) < lengths[0][:, None, None])
            if self.reach is None:
                ahead = ahead & (step < lengths[1][:, None, None])
        return torch.cat((behind, ahead), -1)


def run(
    lstm: nn.LSTM, x_RTD: Tensor, start: tuple[Tensor, ...], lengths: Tensor | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Outputs and last state. Ragged rows stop at their length: outputs after it are 0."""
    if lengths is None:
        return lstm(x_RTD, start)
    packed = pack_padded_sequence(x_RTD, lengths.cpu(), batch_first=True, enforce_sorted=False)
    y, state = lstm(packed, start)
    return pad_packed_sequence(y, batch_first=True, total_length=x_RTD.shape[1])[0], state
