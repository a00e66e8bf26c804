"""The matrix that the probe reads is what the layer applies; the authors' functions are replayed by test_goldens."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sequary.builders import language_model
from sequary.convert.declined import Declined
from sequary.convert.mamba_hidden_attention import load as converted
from sequary.core.catalogue import load
from sequary.core.contracts import Model
from sequary.core.ctx import Ctx, Tape
from sequary.core.part import part
from sequary.core.values import Batch
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.ssm.mamba import Mamba
from sequary.probe.hidden_attention import HiddenAttention, rollout


def model() -> Model:
    torch.manual_seed(0)
    recipe = load("mamba-hidden-attention").recipe
    assert recipe is not None
    return recipe.shrunk().build().double()


def batch() -> Batch:
    return Batch(values=torch.randint(0, 32, (2, 13), generator=torch.Generator().manual_seed(1)))


def test_matrix_times_values_is_output() -> None:
    reading = HiddenAttention(channels=True)(model(), [batch()])
    assert reading.numbers["error"] < 1e-9
    assert reading.tensors["channels"].shape == (2, 2, 64, 13, 13)
    assert torch.equal(reading.tensors["channels"].triu(1), torch.zeros_like(reading.tensors["channels"]))
    torch.testing.assert_close(reading.tensors["channels"].mean(2), reading.tensors["matrix"])


@pytest.mark.parametrize("kind", ["padded left", "packed"])
def test_the_matrix_knows_padding_and_segments(kind: str) -> None:
    torch.manual_seed(0)
    mixer, x = Mamba(16).double(), torch.randn(2, 12, 16, dtype=torch.float64)
    first = (torch.arange(12) >= 5).expand(2, 12)
    tape = Tape("hidden_attention", "scan_input", "scan_output")
    mixer(x, Ctx(mask=first, tape=tape) if kind == "padded left" else Ctx(segments=first.long(), tape=tape))
    (matrix,), (u,), (y,) = tape.entries.values()
    assert float((torch.einsum("bets,bse->bte", matrix, u) - y).detach().abs().max()) < 1e-9
    assert float(matrix[:, :, 5:, :5].abs().max()) == 0.0


def test_reading_leaves_the_model_as_it_was_and_repeats() -> None:
    host = model().train()
    before = {k: v.clone() for k, v in host.state_dict().items()}
    one, two = (HiddenAttention()(host, [batch(), batch()]) for _ in range(2))
    assert host.training
    assert all(torch.equal(v, before[k]) for k, v in host.state_dict().items())
    assert all(torch.equal(one.tensors[k], two.tensors[k]) for k in one.tensors)
    assert one.tensors["matrix"].shape == (2, 4, 13, 13)
    torch.testing.assert_close(one.tensors["rollout"].sum(-1), torch.ones(4, 13, dtype=torch.float64))


def test_a_model_without_mamba_is_refused() -> None:
    host = language_model(dim=16, depth=1, blocks=(part(CausalAttention, heads=2),), vocab=32).build()
    with pytest.raises(ValueError, match="no layer that leaves 'hidden_attention'"):
        HiddenAttention()(host, [batch()])


def test_rollout_multiplies_later_layers_on_the_left() -> None:
    rng = torch.Generator().manual_seed(0)
    a, b = (torch.rand(1, 3, 3, generator=rng, dtype=torch.float64).tril() for _ in range(2))

    def mixed(m: Tensor) -> Tensor:
        m = m + torch.eye(3, dtype=torch.float64)
        return m / m.sum(-1, keepdim=True)

    torch.testing.assert_close(rollout((a, b)), mixed(b) @ mixed(a))
    with pytest.raises(ValueError, match="no layer"):
        rollout(())


def test_declines_half_precision_by_name() -> None:
    with pytest.raises(Declined, match="dtype='float16'"):
        converted("compute_attn_matrix_fn, selective_scan_ref, compute_rollout_attention", {}, {})
