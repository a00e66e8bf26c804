"""The plain functions of flash-linear-attention beside our ops: each entry gives (theirs, ours) on the same random inputs in float32.

fla's functions come from their files, since importing the package asks for Triton, which has no wheel for machines without a GPU.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.ops.attend import attend
from sequary.ops.delta_rule import delta_rule
from sequary.ops.linear_attend import linear_attend

Pairs = list[tuple[Tensor, Tensor]]
LENGTH = 128
"""A multiple of every chunk that their functions cut without padding."""
ORACLES: dict[str, tuple[str, Callable[[], Pairs]]] = {}
"""Their function -> (our op, both outputs)."""


def oracle(theirs: str, ours: str) -> Callable[[Callable[[], Pairs]], Callable[[], Pairs]]:
    def kept(run: Callable[[], Pairs]) -> Callable[[], Pairs]:
        ORACLES[f"fla's `{theirs}`"] = (f"`{ours}`", run)
        return run

    return kept


def naive(name: str) -> ModuleType:
    package = importlib.util.find_spec("fla")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("flash-linear-attention is not installed")
    spec = importlib.util.spec_from_file_location(
        f"naive_{name}", Path(package.origin).parent / "ops" / name / "naive.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


Q, K, V = (normal(2, LENGTH, 3, 8, seed=n) for n in (1, 2, 3))
UNIT = F.normalize(K, dim=-1)
BETA = normal(2, LENGTH, 3, seed=4).sigmoid()
HEAD_RATE = F.logsigmoid(normal(2, LENGTH, 3, seed=5))
KEY_RATE = F.logsigmoid(normal(2, LENGTH, 3, 8, seed=6))
FIRST = normal(2, 3, 8, 8, seed=7)
ZERO = torch.zeros_like(FIRST)
SCALE = 1 / math.sqrt(8)


def heads_first(*tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(x.transpose(1, 2) for x in tensors)


def linear(g: Tensor | None, first: Tensor = FIRST) -> tuple[Tensor, Tensor]:
    return linear_attend(SCALE * Q, K, V, g, first)


def delta(g: Tensor | None, first: Tensor = FIRST) -> tuple[Tensor, Tensor]:
    return delta_rule(SCALE * Q, UNIT, BETA[..., None] * V, BETA[..., None] * UNIT, g, first)


def both(theirs: tuple[Tensor, Tensor], ours: tuple[Tensor, Tensor]) -> Pairs:
    return list(zip(theirs, ours, strict=True))


@oracle("naive_recurrent_linear_attn", "linear_attend")
def recurrent_linear() -> Pairs:
    theirs = naive("linear_attn").naive_recurrent_linear_attn(Q, K, V, initial_state=FIRST, output_final_state=True)
    return both(theirs, linear(None))


@oracle("naive_chunk_linear_attn", "linear_attend")
def chunk_linear() -> Pairs:
    return [(naive("linear_attn").naive_chunk_linear_attn(Q, K, V), linear(None, ZERO)[0])]


@oracle("naive_recurrent_simple_gla", "linear_attend")
def recurrent_simple() -> Pairs:
    theirs = naive("simple_gla").naive_recurrent_simple_gla(Q, K, V, HEAD_RATE, initial_state=FIRST)
    return both(theirs, linear(HEAD_RATE[..., None]))


@oracle("naive_chunk_simple_gla", "linear_attend")
def chunk_simple() -> Pairs:
    theirs = naive("simple_gla").naive_chunk_simple_gla(
        Q, K, V, HEAD_RATE, initial_state=FIRST, output_final_state=True
    )
    return both(theirs, linear(HEAD_RATE[..., None]))


@oracle("naive_parallel_simple_gla", "linear_attend")
def parallel_simple() -> Pairs:
    return [
        (
            naive("simple_gla").naive_parallel_simple_gla(Q, K, V, HEAD_RATE)[0],
            linear(HEAD_RATE[..., None], ZERO)[0],
        )
    ]


@oracle("naive_recurrent_gla", "linear_attend")
def recurrent_gla() -> Pairs:
    return both(naive("gla").naive_recurrent_gla(Q, K, V, KEY_RATE, FIRST, output_final_state=True), linear(KEY_RATE))


@oracle("naive_retention", "linear_attend")
def retention() -> Pairs:
    rates = torch.log1p(-(2.0 ** -(5.0 + torch.arange(3)))).expand(2, LENGTH, 3)
    theirs = naive("retention").naive_retention(*heads_first(Q, K, V))
    return [(theirs.transpose(1, 2), linear(rates[..., None], ZERO)[0])]


@oracle("naive_recurrent_hgrn", "linear_attend")
def recurrent_hgrn() -> Pairs:
    """A gated recurrence of single channels: heads of one key, which is 1, and one value."""
    x, g, first = normal(2, LENGTH, 5, seed=8), F.logsigmoid(normal(2, LENGTH, 5, seed=9)), normal(2, 5, seed=10)
    theirs = naive("hgrn").naive_recurrent_hgrn(x, g, first, output_final_state=True)
    one = torch.ones_like(x)[..., None]
    o, last = linear_attend(one, one, x[..., None], g[..., None], first[..., None, None])
    return both(theirs, (o[..., 0], last[..., 0, 0]))


def powered(degrees: dict[int, float], *, eps: float) -> Tensor:
    """Kernel attention with Σ_p c_p (q·k)^p for a kernel, by features that are all products of p entries."""

    def features(x: Tensor) -> Tensor:
        made = {0: torch.ones_like(x[..., :1]), 1: x, 2: (x[..., :, None] * x[..., None, :]).flatten(-2)}
        return torch.cat([math.sqrt(c) * made[p] for p, c in degrees.items()], -1)

    phi_q, phi_k = features(SCALE * Q), features(K)
    ones = torch.cat((V, torch.ones_like(V[..., :1])), -1)
    o, _ = linear_attend(phi_q, phi_k, ones, None, V.new_zeros(2, 3, phi_k.shape[-1], 9))
    return o[..., :8] / (o[..., 8:] + eps)


@oracle("naive_parallel_based", "linear_attend")
def based() -> Pairs:
    theirs = naive("based").naive_parallel_based(*heads_first(Q, K, V))
    return [(theirs.transpose(1, 2), powered({0: 1.0, 1: 1.0, 2: 0.5}, eps=1e-6))]


@oracle("naive_parallel_rebased", "linear_attend")
def rebased() -> Pairs:
    theirs = naive("rebased").naive_parallel_rebased(*heads_first(Q, K, V))
    return [(theirs.transpose(1, 2), powered({2: 1.0}, eps=1e-6))]


@oracle("delta_rule_recurrence", "delta_rule")
def delta_recurrence() -> Pairs:
    o, last = naive("delta_rule").delta_rule_recurrence(*heads_first(Q, UNIT, V, BETA), initial_state=FIRST)
    return both((o.transpose(1, 2), last), delta(None))


@oracle("delta_rule_chunkwise", "delta_rule")
def delta_chunkwise() -> Pairs:
    theirs = naive("delta_rule").delta_rule_chunkwise(*heads_first(Q, UNIT, V, BETA))
    return [(theirs[0].transpose(1, 2), delta(None, ZERO)[0])]


@oracle("delta_rule_parallel", "delta_rule")
def delta_parallel() -> Pairs:
    theirs = naive("delta_rule").delta_rule_parallel(*heads_first(Q, UNIT, V, BETA))
    return [(theirs[0].transpose(1, 2), delta(None, ZERO)[0])]


@oracle("naive_recurrent_gated_delta_rule", "delta_rule")
def recurrent_gated_delta() -> Pairs:
    theirs = naive("gated_delta_rule").naive_recurrent_gated_delta_rule(
        Q, UNIT, V, BETA, HEAD_RATE, initial_state=FIRST, output_final_state=True
    )
    return both(theirs, delta(HEAD_RATE[..., None]))


@oracle("naive_chunk_gated_delta_rule", "delta_rule")
def chunk_gated_delta() -> Pairs:
    theirs = naive("gated_delta_rule").naive_chunk_gated_delta_rule(
        Q, UNIT, V, HEAD_RATE, BETA, initial_state=FIRST, output_final_state=True
    )
    return both(theirs, delta(HEAD_RATE[..., None]))


@oracle("naive_recurrent_gated_delta_product", "delta_rule")
def delta_product() -> Pairs:
    """Two writes a token: the sequence with every token twice, the second of which is read and forgets nothing."""
    k, v = F.normalize(normal(2, 2 * LENGTH, 3, 8, seed=11), dim=-1), normal(2, 2 * LENGTH, 3, 8, seed=12)
    beta = normal(2, 2 * LENGTH, 3, seed=13).sigmoid()
    theirs = naive("gated_delta_product").naive_recurrent_gated_delta_product(
        Q, k, v, HEAD_RATE, beta, SCALE, initial_state=FIRST, output_final_state=True, num_householder=2
    )
    g = torch.stack((HEAD_RATE, torch.zeros_like(HEAD_RATE)), 2).flatten(1, 2)[..., None]
    q = (SCALE * Q).repeat_interleave(2, 1)
    o, last = delta_rule(q, k, beta[..., None] * v, beta[..., None] * k, g, FIRST)
    return both(theirs, (o[:, 1::2], last))


def comba() -> tuple[Tensor, Tensor, Tensor]:
    p = F.normalize(normal(2, LENGTH, 3, 8, seed=14), dim=-1)
    beta = BETA[..., None]
    return p, *delta_rule(SCALE * Q, UNIT, beta * V, beta * p, HEAD_RATE[..., None], FIRST)


@oracle("naive_recurrent_comba", "delta_rule")
def recurrent_comba() -> Pairs:
    """What is taken back is read along a vector of its own."""
    p, *ours = comba()
    theirs = naive("comba").naive_recurrent_comba(
        Q, UNIT, V, p, BETA, HEAD_RATE, initial_state=FIRST, output_final_state=True
    )
    return list(zip(theirs, ours, strict=True))


@oracle("naive_recurrent_kda", "delta_rule")
def recurrent_kda() -> Pairs:
    theirs = naive("kda").naive_recurrent_kda(Q, UNIT, V, KEY_RATE, BETA, initial_state=FIRST, output_final_state=True)
    return both(theirs, delta(KEY_RATE))


@oracle("naive_chunk_kda", "delta_rule")
def chunk_kda() -> Pairs:
    theirs = naive("kda").naive_chunk_kda(Q, UNIT, V, KEY_RATE, BETA, initial_state=FIRST, output_final_state=True)
    return both(theirs, delta(KEY_RATE))


ERASE, WRITE = normal(2, LENGTH, 3, 8, seed=15).sigmoid(), normal(2, LENGTH, 3, 8, seed=16).sigmoid()


def gdn2() -> tuple[Tensor, Tensor]:
    return delta_rule(SCALE * Q, UNIT, WRITE * V, ERASE * UNIT, KEY_RATE, FIRST)


@oracle("naive_recurrent_gdn2", "delta_rule")
def recurrent_gdn2() -> Pairs:
    theirs = naive("gdn2").naive_recurrent_gdn2(
        Q, UNIT, V, KEY_RATE, ERASE, WRITE, initial_state=FIRST, output_final_state=True
    )
    return both(theirs, gdn2())


@oracle("naive_chunk_gdn2", "delta_rule")
def chunk_gdn2() -> Pairs:
    theirs = naive("gdn2").naive_chunk_gdn2(
        Q, UNIT, V, KEY_RATE, ERASE, WRITE, initial_state=FIRST, output_final_state=True
    )
    return both(theirs, gdn2())


@oracle("naive_parallel_attn", "attend")
def softmax_attention() -> Pairs:
    theirs, _ = naive("attn").naive_parallel_attn(Q, K, V)
    return [(theirs, attend(*heads_first(Q, K, V), causal=True).transpose(1, 2))]


@oracle("naive_forgetting_attn", "attend")
def forgetting_attention() -> Pairs:
    """Softmax attention whose scores fall by the log gates between query and key: a bias."""
    since = HEAD_RATE.cumsum(1).transpose(1, 2)
    bias = since[..., :, None] - since[..., None, :]
    theirs = naive("forgetting_attn").naive_forgetting_attn(Q, K, V, HEAD_RATE)
    return [(theirs, attend(*heads_first(Q, K, V), causal=True, bias=bias).transpose(1, 2))]
