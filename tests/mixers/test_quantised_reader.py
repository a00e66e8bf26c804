"""The code-count formula is softmax attention over rounded keys; the choice of a code has the stated derivative."""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.core.ctx import Ctx
from sequary.mixers.attention.quantised_reader import QuantisedReader


def drawn() -> tuple[QuantisedReader, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 19, n, dtype=torch.float64) for n in (6, 6, 5))
    return QuantisedReader(6, codes=4).double(), q, k, v


def dense(reader: QuantisedReader, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    nearest = torch.cdist(k, reader.codes.expand(len(k), -1, -1)).argmin(-1)
    scores = q @ reader.codes[nearest].mT / 6**0.5
    past = torch.ones(q.shape[1], q.shape[1], dtype=torch.bool).tril()
    return scores.masked_fill(~past, -torch.inf).softmax(-1) @ v


def test_is_softmax_attention_over_rounded_keys() -> None:
    reader, q, k, v = drawn()
    torch.testing.assert_close(reader(q, k, v), dense(reader, q, k, v))
    torch.testing.assert_close(reader(50 * q, k, v), dense(reader, 50 * q, k, v))


def test_segments_are_counted_apart() -> None:
    reader, q, k, v = drawn()
    packed = reader(q, k, v, Ctx(segments=(torch.arange(19) >= 7).long().expand(2, -1)))
    torch.testing.assert_close(packed[:, 7:], dense(reader, q[:, 7:], k[:, 7:], v[:, 7:]))


def test_the_choice_has_the_derivative_of_a_softmax() -> None:
    reader, _, k, _ = drawn()
    k.requires_grad_()
    weight = torch.randn(2, 19, 4, dtype=torch.float64)
    soft = (-torch.cdist(k, reader.codes.expand(2, -1, -1)).square() / 6**0.5).softmax(-1)
    ours, theirs = (torch.autograd.grad((h * weight).sum(), k)[0] for h in (reader.chosen(k), soft))
    torch.testing.assert_close(ours, theirs)
    assert set(reader.chosen(k).detach().unique().tolist()) == {0.0, 1.0}
