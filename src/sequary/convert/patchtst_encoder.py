"""PatchTST's encoder where its arguments ask for what our blocks do not do: `pre_norm`, and heads of their own widths."""

from __future__ import annotations

from torch import Tensor, nn

from sequary.blocks.norms import Norm
from sequary.core.contracts import Backbone
from sequary.core.ctx import Ctx
from sequary.core.part import Part
from sequary.core.place import Place
from sequary.core.values import Level, Levels
from sequary.mixers.attention.projection import join
from sequary.mixers.mlp.dense import MLP


class SourceEncoder(Backbone):
    """`depth` layers of attention and feed-forward. `carried`: scores are added to those of the layer before.

    `pre_norm` as in the source: the normed values take the place of the residual stream, x ← norm(x), x ← x + part(x).
    Scores are scaled by 1/√(dim // heads), however wide `key` is.
    """

    def __init__(
        self,
        dim: int,
        *,
        depth: int,
        heads: int,
        key: int,
        value: int,
        mlp: Part[MLP],
        norm: Part[Norm],
        carried: bool,
        pre_norm: bool,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        here = Place.here(place, dim)
        self.heads, self.scale, self.carried, self.pre_norm = heads, (dim // heads) ** -0.5, carried, pre_norm
        widths = {"q": heads * key, "k": heads * key, "v": heads * value}
        self.qkv = nn.ModuleList(nn.ModuleDict({n: nn.Linear(dim, w) for n, w in widths.items()}) for _ in range(depth))
        self.o = nn.ModuleList(nn.Linear(heads * value, dim) for _ in range(depth))
        self.mlp = nn.ModuleList(mlp.build(here) for _ in range(depth))
        self.norms = nn.ModuleList(norm.build(here) for _ in range(2 * depth))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Levels:
        scores = x_BTD.new_zeros(())
        for layer, mlp in enumerate(self.mlp):
            x_BTD = self.norms[2 * layer](x_BTD, ctx) if self.pre_norm else x_BTD
            mixed, scores = self._attend(x_BTD, layer, scores)
            x_BTD = x_BTD + mixed
            x_BTD = self.norms[2 * layer + int(self.pre_norm)](x_BTD, ctx)
            x_BTD = x_BTD + mlp(x_BTD, ctx)
            x_BTD = x_BTD if self.pre_norm else self.norms[2 * layer + 1](x_BTD, ctx)
        return (Level(x_BTD, ctx.grid),)

    def _attend(self, x_BTD: Tensor, layer: int, before: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.qkv[layer]
        assert isinstance(maps, nn.ModuleDict)
        q, k, v = (maps[n](x_BTD).unflatten(-1, (self.heads, -1)).transpose(1, 2) for n in "qkv")
        scores = q @ k.transpose(-1, -2) * self.scale
        scores = scores + before if self.carried else scores
        return self.o[layer](join(scores.softmax(-1) @ v)), scores
