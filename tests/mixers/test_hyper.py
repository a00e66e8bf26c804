"""Kernels of a slow network: the sums as loops, contexts that change a kernel, and the loss of the slow."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.core.contracts import Model
from sequary.core.ctx import Ctx
from sequary.core.values import Batch
from sequary.laws.toys import toy_of
from sequary.mixers.conv.hyper import HyperConv, ImplicitConv
from sequary.mixers.conv.local_hyper import LocalHyper, LocalImplicit
from sequary.objectives.slow_feedback import SlowFeedback
from sequary.systems.vision.hyperzzw import RECIPE


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)), dtype=torch.float64)


def test_each_token_meets_each_other_one() -> None:
    torch.manual_seed(0)
    for cls in (HyperConv, ImplicitConv):
        conv, x = cls(3, span=4, hidden=5).double(), drawn(2, 7, 3)
        w, z = conv.places(torch.arange(7)), F.gelu(conv.fast(x))
        y = torch.zeros_like(x)
        for t in range(7):
            for s in range(t + 1):
                y[:, t] += w[s] * (x[:, s] if cls is HyperConv else 1.0) * z[:, t - s]
        torch.testing.assert_close(conv(x), y)


def test_slow_network_is_a_product_of_waves() -> None:
    torch.manual_seed(1)
    net = HyperConv(3, hidden=4, layers=2).slow.double()
    place = torch.tensor([0.3, 0.7], dtype=torch.float64)
    waves = [
        torch.sin(place[:, None] * wave.weight.mT + wave.bias)
        for wave in net.waves
        if isinstance(wave, torch.nn.Linear)
    ]
    h = waves[0]
    for wave, linear in zip(waves[1:], net.linears, strict=True):
        h = wave * linear(h)
    torch.testing.assert_close(net(place), h @ net.out.weight.mT)


def test_local_kernels_change_with_the_sequence_only_where_they_hear_it() -> None:
    torch.manual_seed(2)
    a, b = drawn(1, 6, 4), 1 + drawn(1, 6, 4)
    heard, alone = LocalHyper(4, taps=3).double(), LocalImplicit(4, taps=3).double()
    assert not torch.allclose(heard.kernel(a, Ctx()), heard.kernel(b, Ctx()))
    torch.testing.assert_close(alone.kernel(a, Ctx()), alone.kernel(b, Ctx()))
    padded = F.pad(a, (0, 0, 0, 0, 0, 0))
    w = alone.kernel(a, Ctx())
    near = F.pad(padded, (0, 0, 1, 1)).unfold(1, 3, 1)  # [1, 6, 4, 3]
    torch.testing.assert_close(alone(a), F.gelu(alone.mix((near * w.mT).sum(-1))))


def test_slow_feedback_is_the_distance_of_the_layers_kernels() -> None:
    torch.manual_seed(3)
    recipe = RECIPE.shrunk().bind({"channels": 2, "classes": 4})
    model = recipe.build()
    assert isinstance(model, Model)
    toy = toy_of(type(model), SlowFeedback)
    batch: Batch = toy.batch(3, torch.Generator().manual_seed(0), {"context": 16, "channels": 2, "classes": 4})
    loss = SlowFeedback(weight=2.0)(model, batch, torch.Generator())
    first, second = (m.places(torch.arange(64)) for m in model.modules() if isinstance(m, HyperConv))
    torch.testing.assert_close(loss.terms["slow"], (first - second).square().mean())
    plain = SlowFeedback(weight=0.0)(model, batch, torch.Generator())
    torch.testing.assert_close(loss.value, plain.value + 2 * loss.terms["slow"])
