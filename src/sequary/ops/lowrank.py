"""Low-rank forms of a matrix W [out, in]: plain, weighted by what its inputs look like, or by what its outputs do."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

linalg: Any = torch.linalg  # torch has no types for it


def truncated(w: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """(L [out, r], R [r, in]) with L R the best rank-r approximation (Eckart–Young); both carry √σ."""
    u, s, vh = cast("tuple[Tensor, Tensor, Tensor]", linalg.svd(w, full_matrices=False))
    root = s[:rank].sqrt()
    return u[:, :rank] * root, root[:, None] * vh[:rank]


def weighted(w: Tensor, size: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """(L, R) that is best on inputs whose j-th feature has size `size_j`: truncated SVD of W diag(size), unscaled in R."""
    left, right = truncated(w * size, rank)
    return left, right / size


def by_outputs(w: Tensor, covariance: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """(L, R) = (E, Eᵀ W) with E the leading eigenvectors of the outputs' covariance [out, out]."""
    vectors: Tensor = linalg.eigh(covariance)[1]
    top = vectors.flip(1)[:, :rank]
    return top, top.T @ w
