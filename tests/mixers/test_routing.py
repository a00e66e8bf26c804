"""Routing: what each token reads, against loops over the definition; how centroids move."""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.core.ctx import Ctx
from sequary.mixers.attention.causal_routing import CausalRoutingAttention
from sequary.mixers.attention.routing import Centroids, RoutingAttention


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def heads(x_BTD: Tensor) -> Tensor:
    """Two heads of a single row, [H, T, K]."""
    return x_BTD[0].unflatten(-1, (2, -1)).transpose(0, 1)


def read(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return ((q @ k.T) / math.sqrt(q.shape[-1])).softmax(-1) @ v


def test_a_token_reads_the_latest_of_its_cluster() -> None:
    mixer = CausalRoutingAttention(8, heads=2, clusters=3, window=4, base=None).double().eval()
    x = normal(1, 30, 8)
    q, v = F.layer_norm(heads(mixer.q(x)), (4,)), heads(mixer.v(x))
    out = torch.zeros_like(v)
    for h in range(2):
        nearest = (q[h] @ mixer.centroids.means[h].double().T).argmax(-1)
        assert len(set(nearest.tolist())) > 1
        for t in range(30):
            seen = [s for s in range(t + 1) if nearest[s] == nearest[t]][-4:]
            out[h, t] = read(q[h, t : t + 1], q[h, seen], v[h, seen])[0]
    expected = mixer.o(out.transpose(0, 1).flatten(1))
    torch.testing.assert_close(mixer(x)[0], expected, rtol=0, atol=1e-12)


def test_a_centroid_takes_its_most_similar_tokens() -> None:
    mixer = RoutingAttention(8, heads=2, clusters=3, window=4).double().eval()
    x, real = normal(1, 12, 8), torch.arange(12)[None] < 10
    q, k, v = (heads(p(x)) for p in (mixer.q, mixer.k, mixer.v))
    q, k = F.layer_norm(q, (4,)), F.layer_norm(k, (4,))
    out, times = torch.zeros_like(v), torch.zeros(2, 12, 1)
    for h, cluster in itertools.product(range(2), range(3)):
        mean = mixer.centroids.means[h, cluster]
        asks, asked = ((y[h, :10] @ mean).topk(4).indices for y in (q, k))
        out[h, asks] += read(q[h, asks], k[h, asked], v[h, asked])
        times[h, asks] += 1
    expected = mixer.o((out / times.clamp(min=1)).transpose(0, 1).flatten(1))
    torch.testing.assert_close(mixer(x, Ctx(mask=real))[0, :10], expected[:10], rtol=0, atol=1e-12)


def test_centroids_follow_the_mean_of_their_real_tokens() -> None:
    centroids = Centroids(1, 2, 4, decay=0.5)
    centroids.means.copy_(torch.tensor([[[2.0, 0, 0, 0], [0, 2.0, 0, 0]]]))
    x = torch.tensor([[[[2.0, 0, 1, 0], [2.0, 0, -1, 2], [0, 0, 0, 9.0]]]])
    before = centroids.means.clone()
    centroids.eval()(x, torch.tensor([[True, True, False]]))
    assert torch.equal(centroids.means, before)
    centroids.train()(x, torch.tensor([[True, True, False]]))
    mean = F.normalize(torch.tensor([4.0, 0, 0, 2]), dim=0) * 2
    expected = F.normalize((torch.tensor([2.0, 0, 0, 0]) + mean) / 2, dim=0) * 2
    torch.testing.assert_close(centroids.means[0, 0], expected)
    assert torch.equal(centroids.means[0, 1], before[0, 1])
