"""Doraemonzzz/transnormer-v2-pytorch, the first author's modules: `NormLinearAttention`, `NormLocalAttention` and `GLU`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.blocks.norms import LayerNorm, NoNorm, Norm
from sequary.convert.declined import Declined
from sequary.convert.weights import fill, renamed
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.mixers.linear.feature_maps import Elementwise
from sequary.mixers.linear.norm_attention import CausalNormAttention, NormAttention, Normed
from sequary.ops.attend import attend
from sequary.ops.kernel_attend import kernel_sums

RULES = (
    (r"_proj\.", "."),
    (r"^out\.", "o."),
    (r"^norm\.(weight|bias)", r"norm.norm.\1"),
    (r"^norm\.scale", "norm.weight"),
)


def same(x: Tensor) -> Tensor:
    return x


def one_plus_elu(x: Tensor) -> Tensor:
    return 1 + F.elu(x)


def two_plus_elu(x: Tensor) -> Tensor:
    return 2 + F.elu(x)


FUNCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "relu": F.relu,
    "elu": F.elu,
    "sigmoid": torch.sigmoid,
    "exp": torch.exp,
    "leak": F.leaky_relu,
    "1+elu": one_plus_elu,
    "2+elu": two_plus_elu,
    "silu": F.silu,
}
"""Any other name means x itself there, "swish" included."""


class RootNorm(Norm):
    """x / (√mean x² + eps) · weight: eps outside the root."""

    def __init__(self, dim: int, *, eps: float = 1e-8, affine: bool = True) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim)) if affine else None

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        y = x_BTD / (x_BTD.square().mean(-1, keepdim=True).sqrt() + self.eps)
        return y if self.weight is None else y * self.weight


class LocalNormAttention(Normed):
    """Softmax (else `weigh`, entry by entry) in place of features, over one block; norm and gate as in `Normed`."""

    weigh: Callable[[Tensor], Tensor] | None = None

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.across(x_BTD, x_BTD)

    def across(self, x_BTD: Tensor, source_BSD: Tensor) -> Tensor:
        q, k, v = (z.transpose(1, 2) for z in self.split(x_BTD, source_BSD))
        if self.weigh is None:
            return self.finish(attend(q, k, v).transpose(1, 2), x_BTD)
        scores_BHTS = q @ k.mT * q.shape[-1] ** -0.5
        weights_BHTS = self.weigh(scores_BHTS)
        weights_BHTS = weights_BHTS.tril() if self.causal else weights_BHTS
        return self.finish((weights_BHTS @ v).transpose(1, 2), x_BTD)


class GLU(nn.Module):
    """l3(act(l1 x) ⊙ l2 x)."""

    def __init__(
        self, inner: int, hidden: int, act: Callable[[Tensor], Tensor], last: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.l1, self.l2, self.l3 = nn.Linear(inner, hidden), nn.Linear(inner, hidden), nn.Linear(hidden, inner)
        self.act, self.last = act, last

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.l3(self.act(self.l1(x)) * self.l2(x)))


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    if source == "GLU":
        act, last = function(arguments["act_fun"]), function(arguments.get("fina_act", "None"))
        return fill(GLU(arguments["d1"], arguments["d2"], act, last), weights)
    causal = arguments.get("causal", False)
    if source == "NormLinearAttention":
        feature, cls = part(Elementwise, function=function(arguments.get("act_fun", "elu"))), NormAttention
        made: Normed = _made(CausalNormAttention if causal else cls, arguments, weights, feature)
    elif source == "NormLocalAttention":
        made = _made(LocalNormAttention, arguments, weights, part(Elementwise, function=same))
        assert isinstance(made, LocalNormAttention)
        made.causal = causal
        if causal and arguments.get("use_softmax", True):
            raise Declined(
                "causal=True: with softmax the source adds 0 or 1 to the scores instead of masking, and reads the future"
            )
        if not arguments.get("use_softmax", True):
            made.weigh = function(arguments.get("act_fun", "relu"))
    else:
        raise Declined(f"source={source!r}: known are NormLinearAttention, NormLocalAttention and GLU")
    return fill(made, renamed(weights, RULES))


def _made(
    cls: type[Normed], arguments: Mapping[str, Any], weights: Mapping[str, Tensor], feature: Part[Elementwise]
) -> Normed:
    if "norm.gate" in weights:
        raise Declined("norm_type='gatedrmsnorm': of a later paper")
    return cls(
        arguments["embed_dim"],
        heads=arguments["num_heads"],
        hidden=arguments["hidden_dim"],
        feature=feature,
        gate=function(arguments.get("uv_act_fun", "swish")),
        norm=_norm(weights, part(NoNorm) if cls is LocalNormAttention else part(RootNorm, affine=False)),
        bias=True,
    )


def _norm(weights: Mapping[str, Tensor], bare: Part[Norm]) -> Part[Norm]:
    """Told by its weights, since the default of `norm_type` differs from class to class; the local class has none by default."""
    if "norm.bias" in weights:
        return part(LayerNorm)
    return part(RootNorm) if "norm.scale" in weights else bare


def function(name: str) -> Callable[[Tensor], Tensor]:
    return FUNCTIONS.get(name, same)


def replay(loaded: nn.Module, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    x = inputs["x"]
    if "y" not in inputs:
        return {"y": loaded(x)}
    if isinstance(loaded, LocalNormAttention):
        return {"y": loaded.across(x, inputs["y"])}
    assert isinstance(loaded, Normed)
    return {"y": loaded.finish(kernel_sums(*loaded.split(x, inputs["y"])), x)}
