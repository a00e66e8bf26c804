"""Seeded bugs of mixers and backbones: each breaks one law in a way that a reader could miss."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from sequary.core.contracts import Backbone, Member, Mixer
from sequary.core.ctx import Ctx
from sequary.core.values import Level, Levels
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.attention.full import Attention
from sequary.ops.forms import chosen


class Dense(Mixer):
    """y = W x: healthy, what many of the bugs below start from."""

    causal = True
    cost = 1.0

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.w = nn.Linear(dim, dim)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.w(x_BTD)


class NotFiniteInTraining(Dense):
    """0 / 0 in training mode alone."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        y = self.w(x_BTD)
        return y * (torch.zeros(()) / 0) if self.training else y


class DetachedGradient(Dense):
    """The input reaches the output through a detached copy."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.w(x_BTD.detach()) + 0.0 * x_BTD


class DetachedWeight(Dense):
    """One weight is read as data."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return nn.functional.linear(x_BTD, self.w.weight, self.w.bias.detach())


class GlobalNoise(Dense):
    """Draws in eval mode."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.w(x_BTD) + 1e-6 * torch.randn_like(x_BTD)


class HiddenCount(Dense):
    """Remembers how often it was called."""

    calls = 0

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        self.calls += 1
        return self.w(x_BTD) + 1e-3 * self.calls


class InPlace(Dense):
    """Scales its input where it stands."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        with torch.no_grad():
            x_BTD.mul_(0.5)
        return self.w(x_BTD)


class Unsaved(Dense):
    """A random projection that is not part of the state."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.register_buffer("projection", torch.randn(dim, dim), persistent=False)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.w(x_BTD @ self.get_buffer("projection"))


class HardDtype(Dense):
    """Comes back in float32 whatever came in."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.w(x_BTD).to(torch.float32)


class WideInside(Dense):
    """Forgets to go back from float32 when the input is half precision."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        y = self.w(x_BTD)
        return y.float().cumsum(1).diff(dim=1, prepend=y.float()[:, :0]) if y.dtype == torch.bfloat16 else y


class BufferOfTheInput(Dense):
    """Writes what a product gives into a buffer of the input's type, which under autocast is another."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return torch.zeros_like(x_BTD).index_put((torch.arange(x_BTD.shape[0], device=x_BTD.device),), self.w(x_BTD))


class DifferenceOfProducts(Dense):
    """Takes one product from another that is hundreds of times as large as what is left."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.w(x_BTD + 1e3) - 1e3 * self.w.weight.sum(1)


class LearnsInFullAlone(Dense):
    """Reads a weight as data once products come in bfloat16."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        y = x_BTD @ self.w.weight.mT
        return y + (self.w.bias.detach() if y.dtype == torch.bfloat16 else self.w.bias)


class MadeOnCpu(Dense):
    """Positions made without a device."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.w(x_BTD) + torch.arange(x_BTD.shape[1]).to(x_BTD.dtype)[:, None]


class SilencesWarnings(Dense):
    """Quietens all warnings of the process."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        warnings.simplefilter("ignore")


class PatchesTorch(Dense):
    """Leaves something on a class of torch."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        nn.Linear.seeded_bug = True  # type: ignore[attr-defined]


class RandomNames(Member):
    """Names its weight after the object's address."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_parameter(f"weight{id(self)}", nn.Parameter(torch.ones(dim)))


class Wordless(Dense):
    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.w(x_BTD)


class HardLength(Dense):
    """A table of 20 positions."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.places = nn.Parameter(torch.ones(20, dim))

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.w(x_BTD + self.places[: x_BTD.shape[1]])


class LengthDenied(Dense):
    """Says that it is built for one length, and takes any."""

    length = 7


class FutureAtBorder(Dense):
    """At the end of each chunk of 32, one look ahead."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        y = self.w(x_BTD)
        last = y[:, 31:-1:32] + x_BTD[:, 32::32]
        return torch.cat([y[:, :31], last[:, :1], y[:, 32:]], 1) if last.shape[1] else y


class CausalDenied(Dense):
    """Could state that it is causal, and does not."""

    causal = False


class BatchLeak(Dense):
    """Centres by the batch."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.w(x_BTD - x_BTD.mean(0, keepdim=True))


class RowwiseDenied(Dense):
    """Could state that rows are independent, and does not."""

    rowwise = False


class LeftPaddingIgnored(CausalAttention):
    """Absolute positions counted from the start of the tensor, not of the row."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        at = torch.arange(x_BTD.shape[1]).to(x_BTD)[:, None]
        return super().forward(x_BTD + at.sin(), ctx)


class PadsDenied(Attention):
    """Masks properly, and says that it does not."""

    pads = False


class PackedSeeEachOther(Attention):
    """Drops the segments."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return super().forward(x_BTD, dataclasses.replace(ctx, segments=None))


class OrderIgnored(CausalAttention):
    """Stays causal where an order says otherwise."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return super().forward(x_BTD, dataclasses.replace(ctx, order=None))


class OrderOnlyCut(CausalAttention):
    """Obeys the order, but never beyond the diagonal."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        if ctx.order is None:
            return super().forward(x_BTD, ctx)
        rows = [self._row(x_BTD, ctx, t) for t in range(x_BTD.shape[1])]
        return torch.cat(rows, 1)

    def _row(self, x_BTD: Tensor, ctx: Ctx, t: int) -> Tensor:
        assert ctx.order is not None
        known = ctx.order[:, : t + 1]
        return super().forward(x_BTD[:, : t + 1], dataclasses.replace(ctx, order=known))[:, t:]


class OrderUnsaid(Attention):
    """Reads the order, and says that it does not."""

    orders = False


class MemoryIgnored(Dense):
    """Says that it needs a memory, and reads none."""

    remembers = True


class ConditionUnsaid(Dense):
    """Reads a condition that it does not declare."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.w(x_BTD) + (0.0 if ctx.cond is None else ctx.cond[:, None])


class GridIgnored(Dense):
    """Says that it works on a grid, and reads none."""

    dims = (2,)


class _Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        return grad_outputs[0] * ctx.saved_tensors[0]


class WrongDerivative(Dense):
    """Its derivative of x² lacks the 2."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return _Square.apply(self.w(x_BTD))


class SmoothDenied(Dense):
    """Could state that it is smooth, and does not."""

    smooth = False


class OverflowingGates(Dense):
    """The textbook quotient of cumulative decays: right, until a gate closes."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        time = -nn.functional.softplus(x_BTD).cumsum(1)
        return (self.w(x_BTD) * (-time).exp()).cumsum(1) * time.exp()


class FormsDiffer(Dense):
    """A fast form that rounds."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        y = self.w(x_BTD)
        return y if chosen("fast") == "reference" else (y * 2**20).round() / 2**20 + y - y.detach()


class _Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        return grad_outputs[0] * (3 * ctx.saved_tensors[0] ** 2).detach()


class OnceDifferentiable(Dense):
    """A backward whose own derivative is lost, in the reference form too."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return _Cube.apply(self.w(x_BTD))


class CostUnderstated(CausalAttention):
    """Attention that calls itself linear."""

    cost = 1.0


@torch.library.custom_op("seeded::meetings", mutates_args=())
def meetings(x: Tensor) -> Tensor:
    return x @ x.mT @ x


class CostInsideAnOperator(Dense):
    """Every token with every other, inside an operator that torch sees as one."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.w(x_BTD) + meetings(x_BTD.detach())


class DependsOnData(Dense):
    """A branch on a value."""

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.w(x_BTD) if bool(x_BTD.sum() > 0) else -self.w(x_BTD)


class CoarseFirst(Backbone):
    """Levels in the wrong order."""

    causal = True

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.w = nn.Linear(dim, dim)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Levels:
        y = self.w(x_BTD)
        return Level(y[:, ::2]), Level(y)


class WrongGrid(CoarseFirst):
    """A level that keeps the grid of the one before it."""

    dims = (2,)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Levels:
        y = self.w(x_BTD)
        return Level(y, ctx.grid), Level(y[:, ::2], ctx.grid)


BUGS: tuple[tuple[str, Any, str], ...] = (
    ("shape", NotFiniteInTraining, "training mode"),
    ("gradients", DetachedGradient, "no gradient reaches the input"),
    ("gradients", DetachedWeight, "no gradient reaches w.bias"),
    ("deterministic", GlobalNoise, "global generator"),
    ("deterministic", HiddenCount, "second call"),
    ("deterministic", InPlace, "changes its input"),
    ("state", Unsaved, "after loading the state"),
    ("dtype", HardDtype, "torch.float64 in, torch.float32 out"),
    ("half", WideInside, "bfloat16 in"),
    ("autocast", BufferOfTheInput, "source and destination dtypes match"),
    ("autocast", DifferenceOfProducts, "autocast against float32"),
    ("autocast", LearnsInFullAlone, "no gradient reaches w.bias"),
    ("device", MadeOnCpu, ""),
    ("constructor", SilencesWarnings, "warning filters"),
    ("constructor", PatchesTorch, "attributes of torch"),
    ("saved", RandomNames, "different names"),
    ("documented", Wordless, "no docstring"),
    ("lengths", HardLength, ""),
    ("lengths", LengthDenied, "declares length=7 but takes 8"),
    ("causality", FutureAtBorder, "outputs before 32"),
    ("causality", CausalDenied, "declare causal = True"),
    ("rowwise", BatchLeak, "declares rowwise"),
    ("rowwise", RowwiseDenied, "declare rowwise = True"),
    ("padding", LeftPaddingIgnored, "padding on the left"),
    ("padding", PadsDenied, "declare pads = True"),
    ("packing", PackedSeeEachOther, "packed sequences mix"),
    ("order", OrderIgnored, "not known yet"),
    ("order", OrderOnlyCut, "only causal"),
    ("order", OrderUnsaid, "declares orders = False"),
    ("needs", MemoryIgnored, "memory changes nothing"),
    ("needs", ConditionUnsaid, "declares conditioned = False"),
    ("needs", GridIgnored, "turned changes nothing"),
    ("smooth", WrongDerivative, "finite differences"),
    ("smooth", SmoothDenied, "declare smooth = True"),
    ("hard", OverflowingGates, "not finite"),
    ("forms", FormsDiffer, "fast form against the reference"),
    ("second", OnceDifferentiable, "second derivative"),
    ("cost", CostUnderstated, "declares cost = 1.0"),
    ("cost", CostInsideAnOperator, "declares cost = 1.0"),
    ("export", DependsOnData, ""),
    ("compile", DependsOnData, ""),
    ("levels", CoarseFirst, "finest first"),
    ("levels", WrongGrid, "says grid"),
)
