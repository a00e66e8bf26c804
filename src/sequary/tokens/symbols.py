"""Integer tokens <-> vectors by a table."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.core.contracts import Member


class Embedding(Member):
    """[B, T] ints in 0..vocab−1 -> [B, T, D]. With `positions`, a learned vector for each of that many positions is added."""

    tiny = {"vocab": 11}

    def __init__(self, dim: int, *, vocab: int, positions: int | None = None) -> None:
        super().__init__()
        self.table = nn.Embedding(vocab, dim)
        nn.init.normal_(self.table.weight, std=0.02)
        self.places = None if positions is None else nn.Embedding(positions, dim)

    def forward(self, ids_BT: Tensor, positions_BT: Tensor) -> Tensor:
        x = self.table(ids_BT)
        if self.places is None:
            return x
        if int(positions_BT.shape[1]) > self.places.num_embeddings:
            raise ValueError(f"length {positions_BT.shape[1]} exceeds positions={self.places.num_embeddings}")
        return x + self.places(positions_BT)
