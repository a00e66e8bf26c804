"""Patches of symbols as one vector each: what the coarse stages of multi-scale models read (MEGABYTE, arXiv 2305.07185, section 2)."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.core.contracts import Member


class BytePatches(Member):
    """[B, N, P] ints -> [B, N, D], P = `size` symbols a patch; `positions` [B, N] is the number of each patch."""

    size: int

    def forward(self, ids_BNP: Tensor, positions_BN: Tensor) -> Tensor:
        raise NotImplementedError


class ConcatenatedBytes(BytePatches):
    """The P symbols side by side, each as D / P numbers of a table."""

    tiny = {"vocab": 11, "size": 4}

    def __init__(self, dim: int, *, vocab: int, size: int) -> None:
        super().__init__()
        if dim % size:
            raise ValueError(f"size={size} does not divide dim={dim}; use a width of {size * -(-dim // size)}")
        self.size = size
        self.table = nn.Embedding(vocab, dim // size)

    def forward(self, ids_BNP: Tensor, positions_BN: Tensor) -> Tensor:
        return self.table(ids_BNP).flatten(2)


class ProjectedBytes(BytePatches):
    """norm(W norm(P symbols side by side, each as `width` numbers) + b), as in MEGABYTE-pytorch.

    With `positions`, a learned vector for each of that many patches is added.
    """

    tiny = {"vocab": 11, "size": 4, "width": 6}

    def __init__(self, dim: int, *, vocab: int, size: int, width: int, positions: int | None = None) -> None:
        super().__init__()
        self.size = size
        self.table = nn.Embedding(vocab, width)
        self.before = nn.LayerNorm(size * width)
        self.out = nn.Linear(size * width, dim)
        self.after = nn.LayerNorm(dim)
        self.places = None if positions is None else nn.Embedding(positions, dim)

    def forward(self, ids_BNP: Tensor, positions_BN: Tensor) -> Tensor:
        x = self.after(self.out(self.before(self.table(ids_BNP).flatten(2))))
        if self.places is None:
            return x
        if positions_BN.shape[1] > self.places.num_embeddings:
            raise ValueError(f"{positions_BN.shape[1]} patches exceed positions={self.places.num_embeddings}")
        return x + self.places(positions_BN)
