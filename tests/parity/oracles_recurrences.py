"""Recurrences of transformers beside ours, on the same weights and random inputs in float32."""

from __future__ import annotations

import torch
import torch.nn.functional as F
import transformers
from torch import Tensor

from sequary.core.ctx import Ctx
from sequary.core.part import part
from sequary.mixers.conv.short import ShortConv
from sequary.mixers.linear.delta import DeltaNet, LowRankGate
from sequary.mixers.linear.delta_gates import KeyDecayed
from sequary.ops.linear_attend import linear_attend
from tests.parity.side_by_side import Oracles, Pairs, noisy, normal

ORACLES = Oracles("transformers")


@ORACLES.of("Qwen3NextGatedDeltaNet", "DeltaNet")
def qwen3_next() -> Pairs:
    from transformers.models.qwen3_next.modeling_qwen3_next import Qwen3NextGatedDeltaNet

    pairs: Pairs = []
    for key_heads, heads in ((2, 2), (2, 6)):
        config = transformers.Qwen3NextConfig(
            hidden_size=24, linear_num_key_heads=key_heads, linear_num_value_heads=heads, linear_key_head_dim=8,
            linear_value_head_dim=6, linear_conv_kernel_dim=4, num_hidden_layers=1,
        )  # fmt: skip
        theirs = noisy(Qwen3NextGatedDeltaNet(config, 0))
        conv = part(ShortConv, taps=4, bias=False)
        ours = DeltaNet(24, heads=heads, key_heads=key_heads, key=8, value=6, conv=conv, eps=config.rms_norm_eps)
        ours.load_state_dict(delta_weights(theirs.state_dict(), ours, key_heads))
        x = normal(2, 70, 24)
        pairs.append((theirs(x), ours(x)))
    return pairs


def delta_weights(weights: dict[str, Tensor], layer: DeltaNet, key_heads: int) -> dict[str, Tensor]:
    """Their projections hold, key head by key head, its query, key, values and output gates; then its strengths and rates."""
    share = layer.heads // key_heads
    sizes = [layer.key, layer.key, share * layer.value, share * layer.value]
    split = weights["in_proj_qkvz.weight"].unflatten(0, (key_heads, -1)).split(sizes, 1)
    q, k, v, z = (x.flatten(0, 1) for x in split)
    b, a = (x.flatten(0, 1) for x in weights["in_proj_ba.weight"].unflatten(0, (key_heads, -1)).split(share, 1))
    return {
        "qkv.weight": torch.cat((q, k, v)), "conv.weight": weights["conv1d.weight"].flatten(1), "gate.map.weight": z,
        "gates.beta.weight": b, "gates.rate.weight": a, "gates.log_rate": weights["A_log"], "gates.step": weights["dt_bias"],
        "norm.weight": weights["norm.weight"], "o.weight": weights["out_proj.weight"],
    }  # fmt: skip


@ORACLES.of("RecurrentGemmaRglru", "linear_attend")
def recurrent_gemma() -> Pairs:
    """A gated recurrence of single channels: heads of one key, which is 1, and one value."""
    from transformers.models.recurrent_gemma.modeling_recurrent_gemma import RecurrentGemmaRglru

    config = transformers.RecurrentGemmaConfig(lru_width=12, num_attention_heads=3, hidden_size=12)
    theirs, x = noisy(RecurrentGemmaRglru(config)), normal(2, 70, 12)
    positions = torch.arange(70).expand(2, -1)

    def gate(name: str) -> Tensor:
        heads = torch.einsum("bthi,hij->bthj", x.unflatten(-1, (3, 4)), getattr(theirs, f"{name}_gate_weight"))
        return (heads + getattr(theirs, f"{name}_gate_bias")).sigmoid().flatten(-2)

    g = -8 * gate("recurrent") * F.softplus(theirs.recurrent_param)
    first = (positions == 0)[..., None]
    values = x * gate("input") * torch.where(first, 1, (1 - (2 * g).exp()).sqrt())
    one = torch.ones_like(x)[..., None]
    o, _ = linear_attend(one, one, values[..., None], g[..., None], x.new_zeros(2, 12, 1, 1))
    return [(theirs(x, positions), o[..., 0])]


@ORACLES.of("MiniMaxLightningAttention", "linear_attend")
def minimax() -> Pairs:
    from transformers.models.minimax.modeling_minimax import MiniMaxLightningAttention

    config = transformers.MiniMaxConfig(
        hidden_size=24, num_attention_heads=3, num_key_value_heads=3, head_dim=8, block_size=16, num_hidden_layers=3
    )
    theirs, x = noisy(MiniMaxLightningAttention(config, 1)), normal(2, 70, 24)
    q, k, v = F.silu(theirs.qkv_proj(x)).unflatten(-1, (3, 24)).split(8, -1)
    g = -theirs.slope_rate[:, 0].expand(2, 70, 3, 1)
    o, _ = linear_attend(q, k, v, g, x.new_zeros(2, 3, 8, 8))
    ours = theirs.out_proj(theirs.output_gate(x).sigmoid() * theirs.norm(o.flatten(2)))
    return [(theirs(x, (x, x), None)[0], ours)]


@ORACLES.of("rwkv_linear_attention_cpu", "linear_attend")
def rwkv() -> Pairs:
    """Sums of values and of ones weighed by exp(k), which decay a channel at a time; the token itself counts exp(u + k)."""
    from transformers.models.rwkv.modeling_rwkv import rwkv_linear_attention_cpu

    k, v, decay, first = normal(2, 70, 6, seed=1), normal(2, 70, 6, seed=2), normal(6, seed=3), normal(6, seed=4)
    theirs, _ = rwkv_linear_attention_cpu(decay, first, k, v)
    one, weight = torch.ones_like(k)[..., None], k.exp()[..., None]
    both = torch.stack((v, torch.ones_like(v)), -1)
    g = -decay.exp()[:, None].expand_as(one)
    until, _ = linear_attend(one, weight, both, g, k.new_zeros(2, 6, 1, 2))
    before = F.pad(until, (0, 0, 0, 0, 1, 0))[:, :-1] + (first + k).exp()[..., None] * both
    return [(theirs, before[..., 0] / before[..., 1])]


@ORACLES.of("KimiLinearDeltaAttention", "DeltaNet")
def kimi_linear() -> Pairs:
    """A decay for each key entry, with padding on the left."""
    from transformers.models.kimi_linear.modeling_kimi_linear import KimiLinearDeltaAttention

    config = transformers.KimiLinearConfig(
        hidden_size=24, linear_num_heads=3, linear_head_dim=8, linear_conv_kernel_dim=4, num_hidden_layers=1
    )
    theirs = noisy(KimiLinearDeltaAttention(config, 0))
    ours = DeltaNet(
        24, heads=3, key=8, value=8, conv=part(ShortConv, taps=4, bias=False), gates=part(KeyDecayed),
        gate=part(LowRankGate, rank=8), eps=config.rms_norm_eps,
    )  # fmt: skip
    w = theirs.state_dict()
    ours.load_state_dict({
        "qkv.weight": torch.cat([w[f"{x}_proj.weight"] for x in "qkv"]), "conv.weight": w["conv1d.weight"].flatten(1),
        "gates.beta.weight": w["b_proj.weight"], "gates.log_rate": w["forget_gate.A_log"].flatten(),
        "gates.step": w["forget_gate.dt_bias"], "gates.rate.0.weight": w["forget_gate.f_a_proj.weight"],
        "gates.rate.1.weight": w["forget_gate.f_b_proj.weight"], "gate.map.0.weight": w["g_a_proj.weight"],
        "gate.map.1.weight": w["g_b_proj.weight"], "gate.map.1.bias": torch.zeros(24),
        "norm.weight": w["o_norm.weight"], "o.weight": w["o_proj.weight"],
    })  # fmt: skip
    x, real = normal(2, 70, 24), torch.ones(2, 70, dtype=torch.bool)
    real[1, :9] = False
    return [(theirs(x), ours(x)), (theirs(x, attention_mask=real.long())[real], ours(x, Ctx(mask=real))[real])]


@ORACLES.of("mlstm_chunkwise_native_autograd", "linear_attend")
def xlstm() -> Pairs:
    """Writes weigh exp(i), and the sum of weights divides where it is above 1; theirs keeps both within range by a running maximum."""
    from transformers.models.xlstm.modeling_xlstm import mlstm_chunkwise_native_autograd

    q, k, v = (normal(2, 3, 64, n, seed=n) for n in (8, 9, 6))
    k = k[..., :8]
    i, f = 0.5 * normal(2, 3, 64, seed=1), 2 + normal(2, 3, 64, seed=2)
    theirs = mlstm_chunkwise_native_autograd(q, k, v, i, f, chunk_size=16)
    assert isinstance(theirs, Tensor)
    q, k, v, i, f = (x.transpose(1, 2) for x in (q / 8**0.5, k, v, i[..., None], f[..., None]))
    both, _ = linear_attend(q, k * i.exp(), F.pad(v, (0, 1), value=1.0), F.logsigmoid(f), q.new_zeros(2, 3, 8, 7))
    ours = both[..., :6] / both[..., 6:].abs().clamp(min=1)
    return [(theirs, ours.transpose(1, 2))]
