"""Hash functions as features: weights are those of Hamming distances, and fitting them brings codes nearer to similarities."""

from __future__ import annotations

import torch

from sequary.core.ctx import Ctx
from sequary.core.part import part
from sequary.mixers.linear.hashed import Hashed, similarities
from sequary.mixers.linear.kernel import KernelAttention


def test_weights_are_twice_the_bits_and_one_less_twice_the_hamming_distance():
    torch.manual_seed(0)
    hashed = Hashed(6, bits=9).double()
    q, k = torch.randn(2, 1, 20, 1, 6, dtype=torch.float64)
    a, b = (hashed.queries(x)[0, :, 0] for x in (q, k))
    hamming = (a[:, None, :9] != b[None, :, :9]).sum(-1)
    torch.testing.assert_close(a @ b.mT, (19 - 2 * hamming).double())
    assert {-1.0, 1.0} == set(a[:, :9].flatten().tolist())


def test_gradients_pass_where_the_sum_is_small():
    hashed = Hashed(4, bits=3, anchors=5).double()
    x = torch.randn(1, 6, 1, 4, dtype=torch.float64, requires_grad=True)
    said = torch.einsum("bthm,hnm->bthn", hashed.kernel(x), hashed.a)
    through = torch.where(said.abs() < 1, said, said.detach()).sum()
    (want,) = torch.autograd.grad(through, x)
    (got,) = torch.autograd.grad(hashed.queries(x).sum(), x)
    torch.testing.assert_close(got, want)


def test_the_first_pass_of_training_fits_and_padding_has_no_say():
    torch.manual_seed(0)
    mixer = KernelAttention(16, heads=2, feature=part(Hashed, bits=8, anchors=12, similar=4))
    assert isinstance(mixer.feature, Hashed)
    x, mask = torch.randn(2, 24, 16), torch.ones(2, 24, dtype=torch.bool)
    mask[:, 16:] = False
    untouched = mixer.feature.a.clone()
    mixer.eval()(x, Ctx(mask=mask))
    assert torch.equal(mixer.feature.a, untouched)
    torch.manual_seed(1)
    mixer.train()(x, Ctx(mask=mask))
    fitted = {name: value.clone() for name, value in mixer.feature.state_dict().items()}
    assert not torch.equal(fitted["a"], untouched)
    mixer.feature.passes.zero_()
    mixer.feature.a.copy_(untouched)
    torch.manual_seed(1)
    mixer(torch.where(mask[..., None], x, 5 * x.flip(0)), Ctx(mask=mask))
    for name, value in mixer.feature.state_dict().items():
        torch.testing.assert_close(value, fitted[name], msg=name)


def test_similarities_are_of_the_nearest_and_the_farthest():
    q = torch.tensor([[1.0, 0.0]]).view(1, 1, 1, 2).expand(1, 4, 1, 2)
    k = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.6, 0.8]]).view(1, 4, 1, 2)
    assert similarities(q, k, torch.ones(1, 4), 1)[0, 0, 0].tolist() == [1, 0, -1, 0]
