"""Learners by token: the grouped form against a loop over tokens, prefixes, and gradients that stop."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.mixers.mlp.adaptive import AdaptiveMLP
from sequary.ops.forms import form
from sequary.ops.progressive import prefixes, progressive


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weights() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return drawn(3, 4, 5), drawn(3, 4, seed=1), drawn(3, 5, 4, seed=2), drawn(4, 5, seed=3)


def test_each_token_gets_its_learners_and_no_others() -> None:
    up, c, down, b = weights()
    x, k = drawn(6, 5, seed=4), torch.tensor([0, 3, 1, 2, 0, 3])
    told = torch.stack([b[0] for _ in k])
    for t, count in enumerate(k.tolist()):
        for j in range(count):
            told[t] += down[j] @ F.gelu(up[j] @ x[t] + c[j]) + b[j + 1]
    torch.testing.assert_close(progressive(x, k, up, c, down, b), told)
    with form("reference"):
        torch.testing.assert_close(progressive(x, k, up, c, down, b), told)


def test_apart_each_sum_teaches_its_last_learner_alone() -> None:
    up, c, down, b = weights()
    up.requires_grad_()
    (grad,) = torch.autograd.grad(prefixes(drawn(6, 5, seed=4), up, c, down, b, apart=True)[:, 2].sum(), up)
    assert [bool(g.abs().max() > 0) for g in grad] == [False, True, False]


def test_with_and_without_gradients_it_says_the_same() -> None:
    mixer, x = AdaptiveMLP(8, learners=3).double().eval(), drawn(2, 7, 8)
    with torch.no_grad():
        quick = mixer(x)
    torch.testing.assert_close(mixer(x), quick)
    assert len(mixer.gate(x).argmax(-1).unique()) > 1
