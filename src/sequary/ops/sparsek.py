"""SparseK: the differentiable top-k mask of Lou et al. (arXiv 2406.16747): scores projected onto {p: 0 <= p <= 1, Σ p = k}."""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.ops.forms import chosen


def sparsek(u_S: Tensor, member_TS: Tensor, k: int) -> Tensor:
    """p [..., T, S]: for each of T sets of members of the scores u [..., S], p = clip(u − τ, 0, 1) over its members, Σ p = k; 0 elsewhere.

    A set of at most k members has p = 1 throughout. τ is piecewise linear in u: Σ over 0 < p < 1 of (u − τ) + #(p = 1) = k.
    Forms: "sorted" (one sort of all places where a p begins or ends to change, shared by the sets, the default), "reference" (Σ p at each
    of these places).
    """
    u, member = u_S[..., None, :], member_TS.to(u_S.dtype)
    threshold = (_tried if chosen("sorted") == "reference" else _sorted)(u_S, member, k)
    p = torch.where(member_TS.sum(-1, keepdim=True) > k, (u - threshold[..., None]).clamp(0, 1), 1)
    return p * member


def _sorted(u_S: Tensor, member_TS: Tensor, k: int) -> Tensor:
    """Going down from above, Σ p at τ = b is Σ ±(b' − b) over the places b' passed: + where a p begins (u), − where it is 1 (u − 1)."""
    places, order = torch.cat((u_S, u_S - 1), -1).sort(dim=-1, descending=True, stable=True)
    signs = torch.cat((member_TS, -member_TS), -1).gather(-1, order[..., None, :].expand(*member_TS.shape[:-1], -1))
    slope = signs.cumsum(-1)
    total = (signs * places[..., None, :]).cumsum(-1)
    reached = (total - slope * places[..., None, :]).detach() >= k
    before = (reached.long().cumsum(-1) == 0).sum(-1, keepdim=True).clamp(min=1, max=slope.shape[-1]) - 1
    place = places[..., None, :].expand_as(slope).gather(-1, before).detach()
    return _line(total.gather(-1, before) - k, slope.gather(-1, before), place)[..., 0]


def _tried(u_S: Tensor, member_TS: Tensor, k: int) -> Tensor:
    """The highest place b with Σ p >= k; those that change there stay as they are up to the next."""
    u, places = u_S[..., None, None, :], torch.cat((u_S, u_S - 1), -1)[..., None, :]
    sums = ((u - places[..., None]).clamp(0, 1) * member_TS[..., None, :]).sum(-1)
    least = torch.finfo(u_S.dtype).min
    low = torch.where(sums >= k, places, least).amax(-1, keepdim=True).detach()
    u = u_S[..., None, :]
    changes, full = ((u > low) & (u - 1 <= low)) * member_TS, (u - 1 > low) * member_TS
    return _line((changes * u).sum(-1) + full.sum(-1) - k, changes.sum(-1), low[..., 0])


def _line(total: Tensor, slope: Tensor, flat: Tensor) -> Tensor:
    """Where total − slope · τ = 0; where nothing changes, Σ p is k on a stretch, and the end of it will do."""
    return torch.where(slope > 0.5, total / slope.clamp(min=1), flat)
