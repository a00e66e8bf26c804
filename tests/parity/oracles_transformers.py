"""Classes of transformers beside ours: each entry gives (theirs, ours) on the same weights and random inputs in float32."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
import transformers
from torch import Tensor, nn

import sequary
from sequary.core.part import part
from sequary.core.values import Batch
from sequary.mixers.conv.short import ShortConv
from sequary.mixers.linear.delta import DeltaNet
from sequary.ops.linear_attend import linear_attend

Pairs = list[tuple[Tensor, Tensor]]
ORACLES: dict[str, tuple[str, Callable[[], Pairs]]] = {}
"""Their class -> (our part or op, both outputs)."""


def oracle(theirs: str, ours: str) -> Callable[[Callable[[], Pairs]], Callable[[], Pairs]]:
    def kept(run: Callable[[], Pairs]) -> Callable[[], Pairs]:
        ORACLES[f"transformers' `{theirs}`"] = (f"`{ours}`", run)
        return run

    return kept


def noisy(module: nn.Module) -> Any:
    """With noise on every weight, so that a missing bias or norm shows."""
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(0.3 * torch.randn_like(weight) + (1 if weight.dim() == 1 else 0))
    return module.eval()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def language(kind: str, **settings: Any) -> Pairs:
    """A checkpoint that transformers saves and `load_transformers` reads: logits."""
    torch.manual_seed(0)
    head = "GPT2LMHeadModel" if kind == "GPT2" else f"{kind}ForCausalLM"
    theirs = noisy(getattr(transformers, head)(getattr(transformers, f"{kind}Config")(vocab_size=23, **settings)))
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        ours = sequary.load_transformers(folder)
    ids = torch.randint(23, (2, 37), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return [(theirs(ids, use_cache=False).logits, ours.head(ours(Batch(values=ids)).hidden))]


@oracle("MambaForCausalLM", "load_transformers")
def mamba() -> Pairs:
    return language("Mamba", hidden_size=24, state_size=5, num_hidden_layers=2)


@oracle("Mamba2ForCausalLM", "load_transformers")
def mamba2() -> Pairs:
    return language("Mamba2", hidden_size=32, num_heads=4, head_dim=16, state_size=6, n_groups=2, num_hidden_layers=2)


@oracle("GPT2LMHeadModel", "load_transformers")
def gpt2() -> Pairs:
    return language("GPT2", n_layer=2, n_embd=24, n_head=3, n_positions=40)


@oracle("LlamaForCausalLM", "load_transformers")
def llama() -> Pairs:
    heads = {"num_attention_heads": 6, "num_key_value_heads": 2}
    return language("Llama", hidden_size=24, intermediate_size=40, num_hidden_layers=2, **heads)


@oracle("Qwen2ForCausalLM", "load_transformers")
def qwen2() -> Pairs:
    heads = {"num_attention_heads": 4, "num_key_value_heads": 4}
    return language("Qwen2", hidden_size=24, intermediate_size=40, num_hidden_layers=2, **heads)


@oracle("MistralForCausalLM", "load_transformers")
def mistral() -> Pairs:
    heads = {"num_attention_heads": 6, "num_key_value_heads": 3, "sliding_window": None}
    return language("Mistral", hidden_size=24, intermediate_size=40, num_hidden_layers=2, **heads)


@oracle("OlmoForCausalLM", "load_transformers")
def olmo() -> Pairs:
    heads = {"num_attention_heads": 4, "num_key_value_heads": 4}
    return language("Olmo", hidden_size=24, intermediate_size=40, num_hidden_layers=2, **heads)


@oracle("OPTForCausalLM", "load_transformers")
def opt() -> Pairs:
    sizes = {"hidden_size": 24, "word_embed_proj_dim": 24, "ffn_dim": 40, "max_position_embeddings": 40}
    return language("OPT", num_attention_heads=4, num_hidden_layers=2, **sizes)


@oracle("Qwen3NextGatedDeltaNet", "DeltaNet")
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


@oracle("RecurrentGemmaRglru", "linear_attend")
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


@oracle("MiniMaxLightningAttention", "linear_attend")
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


@oracle("rwkv_linear_attention_cpu", "linear_attend")
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
