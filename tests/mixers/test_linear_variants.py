"""Variants of linear attention against their equations, written out."""

from __future__ import annotations

import torch
from torch import Tensor

from sequary.core.ctx import Ctx
from sequary.mixers.attention.block_diagonal import BlockAttention, CausalBlockAttention
from sequary.mixers.linear.agalite import GaLiTe
from sequary.mixers.linear.lightnet import CausalLightNet
from sequary.mixers.linear.norm_attention import CausalNormAttention, NormAttention
from sequary.mixers.linear.relative_kernel import CausalRelativeKernelAttention, RelativeKernelAttention
from sequary.ops.running_softmax import EMPTY, normalised


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_biases_by_distance_multiply_the_weights():
    for cls, last in ((RelativeKernelAttention, 3), (CausalRelativeKernelAttention, 0)):
        mixer = cls(8, heads=2, reach=3).double()
        torch.nn.init.normal_(mixer.relative)
        x = drawn(1, 9, 8)
        q, k, v = mixer.features(x, Ctx())
        want = torch.zeros(1, 9, 2, 4, dtype=torch.float64)
        for h in range(2):
            for t in range(9):
                read = range(t + 1 if last == 0 else 9)
                w = [mixer.relative[h, min(max(s - t, -3), last) + 3].exp() * (q[0, t, h] @ k[0, s, h]) for s in read]
                sums = torch.stack([w[s] * v[0, s, h, :-1] for s in read]).sum(0)
                want[0, t, h] = sums / (torch.stack(w).sum() + mixer.eps)
        torch.testing.assert_close(mixer(x), mixer.o(want.flatten(2)), rtol=0, atol=1e-12)


def test_blocks_attend_apart():
    full, causal = BlockAttention(8, heads=2, block=3).double(), CausalBlockAttention(8, heads=2, block=3).double()
    causal.load_state_dict(full.state_dict())
    x = drawn(2, 8, 8)
    for mixer in (full, causal):
        apart = torch.cat([mixer(part) for part in x.split(3, 1)], 1)
        torch.testing.assert_close(mixer(x), apart, rtol=0, atol=1e-12)
    torch.testing.assert_close(full(x)[:, 2::3], causal(x)[:, 2::3], rtol=0, atol=1e-12)


def test_a_norm_in_place_of_the_denominator():
    full, causal = NormAttention(8, heads=2).double(), CausalNormAttention(8, heads=2).double()
    causal.load_state_dict(full.state_dict())
    x = drawn(1, 5, 8)
    q, k, v = full.split(x, x)
    sums = torch.einsum("bthk,bshk,bshv->bthv", q, k, v)
    torch.testing.assert_close(full(x), full.o(full.norm(sums.flatten(2))))
    torch.testing.assert_close(full(x)[:, -1], causal(x)[:, -1])


def test_the_running_softmax_forgets_by_what_it_adds():
    k = 3 * drawn(1, 6, 2, 3)
    begins = torch.tensor([[True, False, False, True, False, False]])
    write, g, z = normalised(k, torch.full((1, 2, 3), EMPTY, dtype=torch.float64), None, begins)
    for first, t in ((0, 2), (3, 5)):
        weights = [write[0, s] * g[0, s + 1 : t + 1].sum(0).exp() for s in range(first, t + 1)]
        torch.testing.assert_close(torch.stack(weights), k[0, first : t + 1].softmax(0), rtol=1e-9, atol=1e-12)
    assert (g[0, 3].exp() == 0).all()
    torch.testing.assert_close(z[0], k[0, 3:].logsumexp(0))


def test_lightnet_reads_a_softmax_of_the_past():
    mixer = CausalLightNet(8, heads=2).double()
    x = drawn(1, 5, 8)
    q, k, v = mixer.split(mixer.qkv(x))
    memory = torch.einsum("shk,shv->hkv", k[0, :4].softmax(0), v[0, :4])
    o = torch.einsum("hk,hkv->hv", q[0, 3], memory)[None, None]
    torch.testing.assert_close(mixer(x)[:, 3:4], mixer.finish(o, x[:, 3:4]))


def test_galite_by_a_loop():
    mixer = GaLiTe(8, heads=2, expand=2).double()
    x = drawn(1, 6, 8)
    gates = mixer.gates(x)
    c, s = torch.zeros(2, 4, 8, dtype=torch.float64), torch.zeros(2, 8, dtype=torch.float64)
    rows: list[Tensor] = []
    for t in range(6):
        beta, gamma = gates.write_value[0, t], gates.write_key[0, t]
        both = beta[..., None] * gamma[:, None]
        c = (1 - both) * c + both * gates.value[0, t][..., None] * gates.key[0, t][:, None]
        s = (1 - gamma) * s + gamma * gates.key[0, t]
        query = gates.query[0, t]
        rows.append((c @ query[..., None])[..., 0] / ((s * query).sum(-1, keepdim=True) + mixer.eps))
    torch.testing.assert_close(mixer(x)[0], mixer.o(torch.stack(rows).flatten(1)), rtol=0, atol=1e-10)
