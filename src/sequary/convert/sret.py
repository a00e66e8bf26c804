"""szq0214/SReT: the model `SReT`. Its token permutations are drawn anew in every pass; they are inputs here."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.backbones.depthwise_down import DepthwiseDown
from sequary.blocks.recursive import SlicedRecursion
from sequary.blocks.weighted_residual import WeightedResidual
from sequary.convert.chunks import chunked
from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.ctx import Ctx
from sequary.mixers.attention.sliced import SlicedAttention
from sequary.tokens.deep_stem import DeepStem

RULES = (
    (r"^patch_embed\.(conv|bn)(\d)\.", lambda m: f"tokens.{'convs' if m[1] == 'conv' else 'norms'}.{int(m[2]) - 1}."),
    (r"^pools\.(\d+)\.", r"downs.\1."),
    (r"\bnorm(\d)\.", lambda m: f"norms.{int(m[1]) - 1}.norm."),
    (r"\battn\.(q|k|v)\.", r"parts.0.qkv.\1."),
    (r"\battn\.proj\.", "parts.0.o."),
    (r"^(.*\.block)\.mlp\.", r"\1.parts.1."),
    (r"^(.*\.projections\.\d+)\.mlp\.", r"\1.parts.0."),
    (r"\bfc1\.", "up."),
    (r"\bfc2\.", "down."),
)


class Sliced(nn.Module):
    """The source's passes in a row: odd ones run inside `groups[stage][1]` slices of permuted tokens, whatever block they belong to."""

    def __init__(
        self,
        tokens: DeepStem,
        stages: list[list[SlicedRecursion]],
        downs: list[DepthwiseDown],
        groups: list[tuple[int, int]],
        *,
        grid: tuple[int, int],
        widths: list[int],
        classes: int,
    ) -> None:
        super().__init__()
        self.tokens, self.downs, self.groups = tokens, nn.ModuleList(downs), groups
        self.stages = nn.ModuleList(nn.ModuleList(blocks) for blocks in stages)
        self.pos_embed = nn.Parameter(torch.zeros(1, widths[0], *grid))
        self.norm = nn.LayerNorm(widths[-1], eps=1e-6)
        self.head = nn.Linear(widths[-1], classes) if classes else nn.Identity()

    def forward(self, image_BCHW: Tensor, perms: Iterator[Tensor]) -> dict[str, Tensor]:
        x_BTD, grid = self.tokens(image_BCHW)
        found = {"embed": x_BTD.mT.unflatten(2, grid)}
        x_BTD, ctx = x_BTD + self.pos_embed.flatten(2).mT, Ctx(grid=grid)
        for number, (blocks, groups) in enumerate(zip(self.stages, self.groups, strict=True)):
            if number:
                x_BTD, ctx = self.downs[number - 1](x_BTD, ctx)
            assert isinstance(blocks, nn.ModuleList)
            passes = [(b.block, project) for b in blocks if isinstance(b, SlicedRecursion) for project in b.projections]
            for turn, (block, project) in enumerate(passes):
                x_BTD = project(_passed(block, x_BTD, groups[turn % 2], turn % 2 == 1, perms))
            assert ctx.grid is not None
            found[f"stage{number}"] = x_BTD.mT.unflatten(2, ctx.grid)
        return found | {"logits": self.head(self.norm(x_BTD.mean(1)))}


def _passed(block: WeightedResidual, x_BTD: Tensor, slices: int, permuted: bool, perms: Iterator[Tensor]) -> Tensor:
    attention, mlp = block.parts
    assert isinstance(attention, SlicedAttention)
    length = x_BTD.shape[1]
    order = next(perms) if permuted and slices != 1 else torch.arange(length)

    def attended(y_BTD: Tensor) -> Tensor:
        filled = F.pad(y_BTD[:, order], (0, 0, 0, -length % slices))  # tokens of zeros, which take part as keys
        return attention.sliced(filled, Ctx(), slices, strided=False)[:, order.argsort()]

    return block.around(1, block.around(0, x_BTD, attended, Ctx()), mlp, Ctx())


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Sliced:
    if source != "SReT":
        raise Declined(f"source={source!r}: known is SReT")
    get = arguments.get
    depths, distinct = arguments["depth"], arguments["recursive_num"]
    widths = [base * heads for base, heads in zip(arguments["base_dims"], arguments["heads"], strict=True)]
    loops = [int(depth / number) for depth, number in zip(depths, distinct, strict=True)]
    stages = [
        [
            SlicedRecursion(
                width,
                heads=heads,
                slices=(1,) * times,
                ratio=int(width * get("mlp_ratio", 3.6)) / width,
                between=int(width * get("np_mlp_ratio", 1)) / width,
            )
            for _ in range(number)
        ]
        for width, heads, number, times in zip(widths, arguments["heads"], distinct, loops, strict=True)
    ]
    downs = [DepthwiseDown(a, ratio=b // a) for a, b in itertools.pairwise(widths)]
    grid = (weights["pos_embed"].shape[2], weights["pos_embed"].shape[3])
    groups = list(zip(arguments["groups1"], arguments["groups2"], strict=True))
    tokens = DeepStem(widths[0], channels=get("in_chans", 3))
    classes = get("num_classes", 1000)
    module = Sliced(tokens, stages, downs, groups, grid=grid, widths=widths, classes=classes)
    return fill(module, _ours(weights, loops))


def _ours(weights: Mapping[str, Tensor], loops: list[int]) -> dict[str, Tensor]:
    """The source lists [block, projection, the same block, another projection, …]: a shared block stands there once for each pass."""
    made: dict[str, Tensor] = {}
    for key, value in chunked(weights, {"qkv": ("q", "k", "v")}).items():
        found = re.match(r"transformers\.(\d+)\.blocks\.(\d+)\.(.*)", key)
        if found is None:
            made[key] = value
            continue
        stage, (turn, projection) = int(found[1]), divmod(int(found[2]), 2)
        block, again = divmod(turn, loops[stage])
        if projection:
            made[f"stages.{stage}.{block}.projections.{again}.{found[3]}"] = value
        elif not again:
            made[f"stages.{stage}.{block}.block.{found[3]}"] = value
    numbers = {k: v for k, v in made.items() if ".coefficient" in k}
    made = renamed({k: v for k, v in made.items() if k not in numbers}, RULES, drop="num_batches_tracked$")
    for owner in {k.partition(".coefficient")[0] for k in numbers}:
        own = sorted(k for k in numbers if k.startswith(owner + ".coefficient"))
        made[f"{owner}.weights"] = torch.cat([numbers[k] for k in own]).view(-1, 2)
    return made


def replay(loaded: Sliced, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    return loaded(inputs["img"], iter(inputs.get("perms", ())))
