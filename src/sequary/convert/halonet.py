"""halonet-pytorch 0.0.5 (a third-party package): `HaloAttention`; timm: `HaloAttn`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.convert.chunks import chunked
from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.ctx import Ctx
from sequary.mixers.attention.halo import HaloAttention, blocks
from sequary.mixers.attention.projection import join, split
from sequary.ops.groups import attend_groups

RULES = ((r"^to_(q|k|v)\.", r"qkv.\1."), (r"^to_out\.", "o."))


class ZeroHalo(nn.Module):
    """timm's layer: cells outside of the image are keys and values of zeros that take part; no output map; the queries of a stride
    count their own steps, so that the offset of query i and key j is j − i and not j − stride · i; averages of four where `pool`."""

    def __init__(
        self, dim: int, *, out: int, heads: int, key: int, block: int, halo: int, stride: int, bias: bool, pool: bool
    ) -> None:
        super().__init__()
        self.heads, self.block, self.halo, self.stride, self.pool = heads, block, halo, stride, pool
        self.q = nn.Linear(dim, heads * key, bias=bias)
        self.kv = nn.Linear(dim, heads * key + out, bias=bias)
        rows = 2 * (block + 2 * halo) - 1
        self.rows = nn.Parameter(torch.zeros(rows, key))
        self.columns = nn.Parameter(torch.zeros(rows, key))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        height, width = x_BCHW.shape[2:]
        queries, keys = blocks((height, width), block=self.block, halo=self.halo, stride=self.stride)
        asking = x_BCHW[..., :: self.stride, :: self.stride]
        q = split(self.q(asking.flatten(2).mT), self.heads)
        k, v = split(self.kv(x_BCHW.flatten(2).mT), self.heads).split([q.shape[-1], self._value()], -1)
        sees = torch.ones(1, *queries.shape, keys.shape[1], dtype=torch.bool)
        y = attend_groups(q, k, v, queries, keys, sees_BGQN=sees, offsets_QNK=self._offsets())
        y = join(y).mT.unflatten(2, (asking.shape[2], asking.shape[3]))
        return F.avg_pool2d(y, 2) if self.pool else y

    def _value(self) -> int:
        return (self.kv.out_features - self.q.out_features) // self.heads

    def _offsets(self) -> Tensor:
        side = self.block + 2 * self.halo
        index = torch.arange(side) - torch.arange(self.block // self.stride)[:, None] + side - 1
        both = self.rows[index][:, None, :, None] + self.columns[index][None, :, None, :]
        return both.flatten(2, 3).flatten(0, 1)


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> HaloAttention | ZeroHalo:
    if source == "HaloAttn":
        return _timm(arguments, weights)
    if source != "HaloAttention":
        raise Declined(f"source={source!r}: known are halonet-pytorch's HaloAttention and timm's HaloAttn")
    halo = arguments["halo_size"]
    module = HaloAttention(
        arguments["dim"],
        heads=arguments.get("heads", 8),
        key_width=arguments.get("dim_head", 64),
        block=arguments["block_size"],
        halo=halo,
    )
    made = renamed(chunked(weights, {"to_kv": ("to_k", "to_v")}), RULES)
    # The source's tables hold rows for offsets that no query of a block has.
    made["offsets.rows"] = made.pop("rel_pos_emb.rel_height")[2 * halo :]
    made["offsets.columns"] = made.pop("rel_pos_emb.rel_width")[2 * halo :]
    return fill(module, made)


def _timm(arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> ZeroHalo:
    """`feat_size` changes nothing."""
    get, dim = arguments.get, arguments["dim"]
    out, heads, block = get("dim_out") or dim, get("num_heads", 8), get("block_size", 8)
    key = get("dim_head") or _divisible(out * get("qk_ratio", 1.0)) // heads
    halved = get("stride", 1) > 1
    pool = halved and (get("avg_down", False) or block % get("stride", 1) != 0)
    stride = get("stride", 1) if halved and not pool else 1
    module = ZeroHalo(
        dim,
        out=out,
        heads=heads,
        key=key,
        block=block,
        halo=get("halo_size", 3),
        stride=stride,
        bias=get("qkv_bias", False),
        pool=pool,
    )
    made = {n: v.flatten(1) if n.endswith("weight") else v for n, v in weights.items()}
    # Scores of positions are not scaled there unless asked for; ours are, so that the tables take the difference.
    factor = 1.0 if get("scale_pos_embed", False) else key**0.5
    made["rows"] = made.pop("pos_embed.height_rel") * factor
    made["columns"] = made.pop("pos_embed.width_rel") * factor
    return fill(module, made)


def _divisible(width: float) -> int:
    """timm's nearest multiple of 8, not less than 90 % of the width."""
    near = max(8, int(width + 4) // 8 * 8)
    return near + 8 if near < 0.9 * width else near


def replay(
    loaded: HaloAttention | ZeroHalo, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]
) -> dict[str, Tensor]:
    x = inputs["x"]
    if isinstance(loaded, ZeroHalo):
        return {"y": loaded(x)}
    grid = (x.shape[2], x.shape[3])
    return {"y": loaded(x.flatten(2).mT, Ctx(grid=grid)).mT.unflatten(2, grid)}
