"""LoRAP (Li et al., ICML 2024): attention is factorised, the feed-forward loses whole channels.

Attention projections: activation-weighted SVD, W diag(s) ≈ L R, s_j the ℓ2 size of input feature j over calibration tokens, with
more rank for v and o than for q and k. Feed-forward: channel c scores Σ over gate, up, down of ‖|W| · s‖₂ on its row or column;
the lowest go, except the very lowest `least`, which turn out to matter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sequary.core.contracts import Model
from sequary.core.recipe import Recipe
from sequary.core.values import Batch, Edited
from sequary.edit.layers import changed, parts, places, stack_of
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.attention.full import Attention
from sequary.mixers.attention.projection import FULL
from sequary.mixers.mlp.swiglu import SwiGLU
from sequary.ops.lowrank import weighted

SMALLEST = 1e-4
"""Size of a feature that calibration never saw, so that it is not divided by zero."""


@contextmanager
def sizes(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """While open, the squared sizes of each linear layer's inputs are summed, by the layer's name."""
    found: dict[str, Tensor] = {}

    def listen(name: str) -> None:
        def hook(_: nn.Module, args: tuple[Tensor, ...]) -> None:
            squares = args[0].detach().flatten(0, -2).square().sum(0)
            found[name] = found[name] + squares if name in found else squares

        hooks.append(model.get_submodule(name).register_forward_pre_hook(hook))

    hooks: list[torch.utils.hooks.RemovableHandle] = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            listen(name)
    yield found
    for hook in hooks:
        hook.remove()


def channel_scores(gate: Tensor, up: Tensor, down: Tensor, inputs: Tensor, hidden: Tensor) -> Tensor:
    """[channels]: gate, up [channels, in] with sizes `inputs` [in]; down [out, channels] with sizes `hidden` [channels]."""
    rows = [(w.abs() * inputs).norm(dim=1) for w in (gate, up)]
    return rows[0] + rows[1] + (down.abs() * hidden).norm(dim=0)


def kept_channels(scores: Tensor, drop: float, least: float) -> Tensor:
    """Indices, ascending: without the share `drop` that scores lowest, but with the share `least` that scores lowest of all."""
    count = len(scores)
    ranked = scores.argsort(stable=True)
    first = int(count * least)
    gone = ranked[first : int((drop + least) * count)]
    keep = torch.ones(count, dtype=torch.bool)
    keep[gone] = False
    return keep.nonzero()[:, 0]


@dataclasses.dataclass(frozen=True, slots=True)
class LoRAP:
    """Keep the share `keep` of each sublayer's parameters; v and o get `tilt` times the rank of q and k."""

    keep: float = 0.5
    tilt: float = 2.0
    least: float = 0.01

    def __call__(self, model: Model, recipe: Recipe, calibration: Sequence[Batch], rng: torch.Generator) -> Edited:
        self.refuse(recipe)
        with sizes(model) as squares, torch.no_grad():
            for batch in calibration:
                model(batch, rng=rng)
        low = changed(recipe, (CausalAttention, Attention), lambda _, part: part.but(ranks=self.ranks(recipe.dim)))
        widths = [m.up.out_features for m in model.modules() if isinstance(m, SwiGLU)]
        if self.kept(min(widths)) < 1:
            raise ValueError(f"keep={self.keep} leaves none of {min(widths)} channels of a feed-forward; keep more")
        wide = iter(widths)
        smaller = changed(low, (SwiGLU,), lambda _, part: part.but(hidden=self.kept(next(wide))))
        made = smaller.build().to(next(model.parameters()))
        weights = dict(model.state_dict())
        prefix = "backbone.blocks.{}.parts.{}"
        for layer, index, _ in places(recipe, (CausalAttention, Attention)):
            self.factorise(weights, prefix.format(layer, index), squares, recipe.dim)
        for layer, index, _ in places(recipe, (SwiGLU,)):
            self.thin(weights, prefix.format(layer, index), squares)
        made.load_state_dict(weights)
        before, after = (sum(p.numel() for p in m.parameters()) for m in (model, made))
        return Edited(made.train(model.training), smaller, {"params_before": before, "params": after})

    def refuse(self, recipe: Recipe) -> None:
        """ValueError for a model that is not attention and SwiGLU throughout, with the mend."""
        stack_of(recipe)
        found = list(parts(recipe))
        others = dict.fromkeys(p.name for p in found if p.cls not in (CausalAttention, Attention, SwiGLU))
        if others:
            raise ValueError(
                f"its blocks hold {', '.join(others)}, and only softmax attention and SwiGLU are made smaller; "
                "choose a model of these alone, such as gpt"
            )
        if not any(p.cls is SwiGLU for p in found):
            raise ValueError("its blocks hold no SwiGLU to thin; choose a model that has them, such as gpt")
        if any(p.get("kept") is not None or p.get("ranks", FULL) != FULL for p in found):
            raise ValueError(
                "its attention was edited before, and whole projections are needed; edit the model that it came from"
            )

    def ranks(self, dim: int) -> tuple[int, int, int, int]:
        """Ranks of q, k, v, o that hold `keep` of 4 dim² parameters: 2 r dim each, v and o `tilt` times q and k."""
        low = max(1, round(self.keep * dim / (1 + self.tilt)))
        high = max(1, min(dim, round(self.keep * dim * self.tilt / (1 + self.tilt))))
        return low, low, high, high

    def kept(self, width: int) -> int:
        """Channels of `width` that stay."""
        return width - (min(width, int((1 - self.keep + self.least) * width)) - int(self.least * width))

    def factorise(self, weights: dict[str, Tensor], at: str, squares: dict[str, Tensor], dim: int) -> None:
        for name, rank in zip(("qkv.q", "qkv.k", "qkv.v", "o"), self.ranks(dim), strict=True):
            w = weights.pop(f"{at}.{name}.weight")
            left, right = weighted(w, squares[f"{at}.{name}"].sqrt().clamp(min=SMALLEST), rank)
            weights |= {f"{at}.{name}.left.weight": left, f"{at}.{name}.right.weight": right}
            if f"{at}.{name}.bias" in weights:
                weights[f"{at}.{name}.left.bias"] = weights.pop(f"{at}.{name}.bias")

    def thin(self, weights: dict[str, Tensor], at: str, squares: dict[str, Tensor]) -> None:
        gate, up, down = (weights[f"{at}.{n}.weight"] for n in ("gate", "up", "down"))
        inputs, hidden = squares[f"{at}.gate"].sqrt(), squares[f"{at}.down"].sqrt()
        keep = kept_channels(channel_scores(gate, up, down, inputs, hidden), 1 - self.keep, self.least)
        weights |= {f"{at}.gate.weight": gate[keep], f"{at}.up.weight": up[keep], f"{at}.down.weight": down[:, keep]}
