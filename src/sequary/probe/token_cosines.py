"""How alike the tokens are after each layer: the mean cosine between different tokens, 1 where all point the same way."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sequary.core.contracts import Model
from sequary.core.values import Batch, Reading
from sequary.ops.covariance_sde import cosines


def covariance(x_BTD: Tensor) -> Tensor:
    """[B, T, T]: products of tokens over the width."""
    return x_BTD @ x_BTD.mT / x_BTD.shape[-1]


@dataclasses.dataclass(frozen=True, slots=True)
class TokenCosines:
    """Reads `model.backbone.blocks`; "cosine" and "size" (mean square of a feature) are [layers + 1], means over rows, the input first."""

    @torch.no_grad()
    def __call__(self, model: Model, batches: Sequence[Batch]) -> Reading:
        blocks = model.get_submodule("backbone.blocks")
        assert isinstance(blocks, nn.ModuleList)
        states: list[Tensor] = []

        def after(_module: nn.Module, _args: object, out: Tensor) -> None:
            states.append(covariance(out))

        hooks = [blocks[0].register_forward_pre_hook(lambda _, args: states.append(covariance(args[0])))]
        hooks += [b.register_forward_hook(after) for b in blocks]
        found: list[Tensor] = []
        for batch in batches:
            states.clear()
            model(batch)
            found.append(torch.stack(states, 1))
        for hook in hooks:
            hook.remove()
        v_BNTT = torch.cat(found)
        cosine, size = cosines(v_BNTT).mean(0), v_BNTT.diagonal(dim1=-2, dim2=-1).mean((0, 2))
        return Reading({"cosine": cosine, "size": size}, {"last": float(cosine[-1]), "last_size": float(size[-1])})
