"""Attention among selected tokens: packing, and the formula against a loop over images."""

from __future__ import annotations

import torch

from sequary.core.ctx import Ctx, Tape
from sequary.mixers.attention.selected import SelectedAttention
from sequary.ops.packing import containers, next_fit


def test_rows_are_packed_whole_and_in_order() -> None:
    starts, number = next_fit([3, 2, 4, 0, 1], 5)
    assert starts == [0, 3, 5, 9, 9]
    assert number == 2


def test_a_container_names_each_chosen_token_once() -> None:
    chosen = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 1], [0, 1, 1, 1]]).bool()
    assert containers(chosen).tolist() == [[0, 2, 7], [9, 10, 11]]


def test_nothing_chosen_is_nothing_packed() -> None:
    assert containers(torch.zeros(2, 4, dtype=torch.bool)).numel() == 0


def made() -> tuple[SelectedAttention, torch.Tensor]:
    torch.manual_seed(0)
    return SelectedAttention(8, heads=2).double(), torch.randn(3, 9, 8, dtype=torch.float64)


def test_each_image_attends_among_its_own_selected_tokens() -> None:
    mixer, x = made()
    tape, y = Tape("selection"), torch.zeros_like(x)
    out = mixer(x, Ctx(tape=tape))
    (logits,) = tape.entries["selection"]
    for row, score in enumerate(logits.sigmoid()):
        at = (score > 0.5).nonzero()[:, 0]
        q, k, v = mixer.qkv(x[row : row + 1, at], None, 2)
        mixed = (q @ k.mT / 2).softmax(-1) @ v
        y[row, at] = score[at, None] * mixer.o(mixed.transpose(1, 2).flatten(2))[0]
    assert 0 < int((logits > 0).sum()) < logits.numel()
    torch.testing.assert_close(out, y)


def test_what_is_not_selected_comes_out_as_zero() -> None:
    mixer, x = made()
    with torch.no_grad():
        mixer.gate.bias.fill_(-1e3)
    assert float(mixer(x).abs().max()) == 0


def test_autocast_selects_the_same_tokens() -> None:
    """A logit rounded to bfloat16 is often on the other side of a threshold near by."""
    torch.manual_seed(0)
    mixer, x = SelectedAttention(16, heads=2), torch.randn(4, 64, 16)
    with torch.no_grad():
        mixer.gate.weight.mul_(1e-3)
        mixer.gate.bias.fill_(1.0)
        mixer.gate.bias.sub_(mixer.gate(x).median())
        tape = Tape("selection")
        full = mixer(x, Ctx(tape=tape))
        with torch.autocast("cpu", torch.bfloat16):
            rounded = mixer(x, Ctx(tape=tape))
    plain, under = tape.entries["selection"]
    assert torch.equal(plain > 0, under > 0)
    assert torch.equal(full == 0, rounded == 0)
