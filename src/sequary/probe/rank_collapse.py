"""How far each layer's tokens are from being all alike (Dong, Cordonnier & Loukas, ICML 2021).

res(X) = X − 1 xᵀ, here with x the mean token, in the composite norm √(‖·‖₁ ‖·‖_∞) (section 2). The probe gives, layer by layer,
‖res(X)‖ / ‖X‖: 1 where tokens differ freely, 0 where the matrix has rank one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sequary.core.contracts import Model
from sequary.core.values import Batch, Reading


def residual(x_BTD: Tensor) -> Tensor:
    """What is left of the tokens when their mean is taken away."""
    return x_BTD - x_BTD.mean(-2, keepdim=True)


def norm_1(x_BTD: Tensor) -> Tensor:
    """[B]: the greatest column sum of |x|."""
    return x_BTD.abs().sum(-2).amax(-1)


def norm_inf(x_BTD: Tensor) -> Tensor:
    """[B]: the greatest row sum of |x|."""
    return x_BTD.abs().sum(-1).amax(-1)


def composite(x_BTD: Tensor) -> Tensor:
    """[B]: √(‖x‖₁ ‖x‖_∞)."""
    return (norm_1(x_BTD) * norm_inf(x_BTD)).sqrt()


@dataclasses.dataclass(frozen=True, slots=True)
class RankCollapse:
    """Reads `model.backbone.blocks`; the reading's "relative" is [layers + 1], the mean over rows, the input first."""

    @torch.no_grad()
    def __call__(self, model: Model, batches: Sequence[Batch]) -> Reading:
        blocks = model.get_submodule("backbone.blocks")
        assert isinstance(blocks, nn.ModuleList)
        states: list[Tensor] = []

        def after(_module: nn.Module, _args: object, out: Tensor) -> None:
            states.append(out)

        hooks = [blocks[0].register_forward_pre_hook(lambda _, args: states.append(args[0]))]
        hooks += [b.register_forward_hook(after) for b in blocks]
        rows: list[Tensor] = []
        for batch in batches:
            states.clear()
            model(batch)
            rows.append(torch.stack([composite(residual(x)) / composite(x) for x in states], 1))
        for hook in hooks:
            hook.remove()
        relative = torch.cat(rows).mean(0)
        fall = relative.log10().diff()
        return Reading({"relative": relative}, {"last": float(relative[-1]), "decades_a_layer": float(-fall.mean())})
