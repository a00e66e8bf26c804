"""mit-han-lab/flatformer: the encoder `FlatFormer`, its packed attention written out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.backbones.stack import Stack
from sequary.blocks.norms import LayerNorm
from sequary.blocks.postnorm import PostNorm
from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.flat_window import PATHS, CellWaves, FlatWindowAttention, path
from sequary.mixers.mlp.dense import MLP

PI = 3.1415
"""As the source has it."""
RULES = (
    (r"^block_list\.(\d+)\.block\.(\d)\.", lambda m: f"blocks.{4 * int(m[1]) + int(m[2])}."),
    (r"\.attn\.attn\.", ".parts.0."),
    (r"\.out_proj\.", ".o."),
    (r"\.norm([12])\.", lambda m: f".norms.{int(m[1]) - 1}.norm."),
    (r"\.fc1\.", ".parts.1.up."),
    (r"\.fc2\.", ".parts.1.down."),
)


class SourceWaves(CellWaves):
    """In float32 whatever the dtype of the features; `sizes` (wide, tall): places are divided by them and multiplied by 2 · 3.1415."""

    def __init__(self, dim: int, *, temperature: float, sizes: tuple[int, int] | None) -> None:
        super().__init__(dim, temperature=temperature)
        self.sizes = sizes

    def forward(self, grid: tuple[int, int], like: Tensor) -> Tensor:
        count = self.dim // 4 * 2
        number = torch.arange(count, dtype=torch.float32)
        slow = self.temperature ** (2 * (number // 2) / count)
        rows, columns = torch.meshgrid(*(torch.arange(n) for n in grid), indexing="ij")
        waves: list[Tensor] = []
        for axis, place in enumerate((columns.flatten(), rows.flatten())):
            at = place if self.sizes is None else place / self.sizes[axis] * 2 * PI
            angle = at[:, None] / slow
            waves.append(torch.stack((angle[:, ::2].sin(), angle[:, 1::2].cos()), -1).flatten(1))
        return F.pad(torch.cat(waves, -1).to(like.dtype), (0, self.dim - 2 * count))


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Stack:
    if source != "FlatFormer":
        raise Declined(f"source={source!r}: known is FlatFormer")
    get = arguments.get
    activation = get("activation", "gelu")
    if activation not in ("gelu", "relu"):
        raise Declined(f"activation={activation!r}: the source's second map takes all of the first, which glu halves")
    blocks = tuple(
        part(
            PostNorm,
            parts=(
                part(
                    FlatWindowAttention,
                    heads=get("num_heads", 8),
                    window=tuple(get("window_shape", (9, 9, 1))[:2]),
                    group=get("group_size", 69),
                    axis=axis,
                    shift=shift,
                    code=_waves(arguments),
                ),
                part(MLP, ratio=2.0, activation=activation),
            ),
            norm=part(LayerNorm),
        )
        for axis, shift in PATHS
    )
    width = arguments["in_channels"]
    stack = part(Stack, depth=4 * get("num_blocks", 2), blocks=blocks).build(Place(width))
    made: dict[str, Tensor] = {}
    for key, value in renamed(weights, RULES).items():
        found = re.match(r"(.*\.)in_proj_(weight|bias)$", key)
        made |= (
            {f"{found[1]}{n}.{found[2]}": v for n, v in zip("qkv", value.chunk(3), strict=True)}
            if found
            else {key: value}
        )
    return fill(stack, made)


def _grid(arguments: Mapping[str, Any]) -> tuple[int, int]:
    """(rows, columns) of the map, which the source calls (ny, nx)."""
    wide, tall = arguments.get("sparse_shape", (468, 468, 1))[:2]
    ny, nx = arguments.get("output_shape", (468, 468))
    return max(tall, ny), max(wide, nx)


def _waves(arguments: Mapping[str, Any]) -> Part[CellWaves]:
    wide, tall = arguments.get("sparse_shape", (468, 468, 1))[:2]
    sizes = (wide, tall) if arguments.get("normalize_pos", False) else None
    return part(SourceWaves, temperature=arguments.get("pos_temperature", 10000), sizes=sizes)


def replay(loaded: Stack, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    """Points to cells of a map, the empty ones masked; the source's orders and paddings are told from ours."""
    coords, x, grid = inputs["coords"].long(), inputs["x"], _grid(arguments)
    group, batch = arguments.get("group_size", 69), arguments["batch_size"]
    sample, cell = coords[:, 0], coords[:, 2] * grid[1] + coords[:, 3]
    counts = torch.bincount(sample, minlength=batch)
    if int(counts.min()) < group:
        raise Declined(
            f"group_size={group}: a sample of {int(counts.min())} points takes the source's filling from another one"
        )
    if len(torch.unique(sample * grid[0] * grid[1] + cell)) < len(cell):
        raise Declined("coords: two points in one cell, whose order the source leaves to its sort")
    canvas = x.new_zeros(batch, grid[0] * grid[1], x.shape[1]).index_put((sample, cell), x)
    mask = torch.zeros(canvas.shape[:2], dtype=torch.bool).index_put((sample, cell), torch.tensor(True))
    features = loaded(canvas, Ctx(grid=grid, mask=mask))[-1].x
    ny, nx = arguments.get("output_shape", (468, 468))
    bev = torch.where(mask[..., None], features, 0).mT.unflatten(2, grid)[..., :ny, :nx]
    code = _waves(arguments).build(Place(x.shape[1]))(grid, x)
    return {"bev": bev, "features": features[sample, cell], "pe": code[cell]} | _orders(
        sample, cell, counts, grid, arguments
    )


def _orders(
    sample: Tensor, cell: Tensor, counts: Tensor, grid: tuple[int, int], arguments: Mapping[str, Any]
) -> dict[str, Tensor]:
    """Points along each path, sample by sample, and where filled-up groups take their entries from."""
    window, group = tuple(arguments.get("window_shape", (9, 9, 1))[:2]), arguments.get("group_size", 69)
    found: dict[str, Tensor] = {}
    for axis, shift in PATHS:
        key = path(grid, (window[0], window[1]), axis, shift=shift, device=cell.device)[cell]
        along = key.argsort(stable=True)
        found[f"order_{axis}{'_shift' if shift else ''}"] = along[sample[along].argsort(stable=True)]
    flat, back, first = list[Tensor](), list[Tensor](), 0
    for n in counts.tolist():
        slot = torch.arange(-(-n // group) * group)
        # Behind the last points of a sample stand again those before its last group began.
        flat.append(first + torch.where(slot < n, slot, slot - group))
        back.append(sum(len(f) for f in flat[:-1]) + torch.arange(n))
        first += n
    return found | {"flat2win": torch.cat(flat), "win2flat": torch.cat(back)}
