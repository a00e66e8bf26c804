"""Attention layers of transformers beside ours, on the same weights and random inputs in float32, padding included."""

from __future__ import annotations

import math
from typing import Any

import torch
import transformers
from torch import Tensor

from sequary.blocks.norms import LayerNorm
from sequary.blocks.postnorm import PostNorm
from sequary.core.ctx import Ctx, Memory
from sequary.core.part import part
from sequary.core.place import Place
from sequary.mixers.attention.cross import CrossAttention
from sequary.mixers.attention.normed import NormedAttention
from sequary.mixers.attention.offsets import LogOffsets
from sequary.mixers.attention.query_key import Normed, Unit
from sequary.mixers.attention.scales import MultiScaleAttention
from sequary.mixers.attention.segment_memory import SegmentMemoryAttention
from sequary.mixers.attention.universal import UniversalAttention
from tests.parity.side_by_side import Oracles, Pairs, noisy, normal, shown

ORACLES = Oracles("transformers")
REAL = torch.arange(37) < torch.tensor([[37], [29]])
"""Two rows, the second with padding on the right."""


@ORACLES.of("T5Attention", "UniversalAttention")
def t5() -> Pairs:
    """A bias for each bucket of offsets, exact ones near and logarithmic ones far; scores are not divided by √K."""
    from transformers.models.t5.modeling_t5 import T5Attention

    pairs: Pairs = []
    for buckets, farthest in ((32, 128), (12, 20)):
        config = transformers.T5Config(
            d_model=24, d_kv=8, num_heads=3, relative_attention_num_buckets=buckets, relative_attention_max_distance=farthest
        )  # fmt: skip
        theirs = noisy(T5Attention(config, has_relative_attention_bias=True))
        bias = part(LogOffsets, heads=3, buckets=buckets, farthest=farthest, length=512)
        ours, sides, w = UniversalAttention(24, heads=3, bias=bias), buckets // 2, theirs.state_dict()
        table = torch.zeros(buckets + 1, 3)
        table[:sides] = w["relative_attention_bias.weight"][:sides].flip(0)  # offsets 1 − sides … 0
        table[sides + 1 :] = w["relative_attention_bias.weight"][[0, *range(sides + 1, buckets)]]
        ours.load_state_dict({
            **{f"qkv.{x}.weight": w[f"{x}.weight"] * (math.sqrt(8) if x == "q" else 1) for x in "qkv"},
            **{f"{name}.bias": torch.zeros(24) for name in ("qkv.q", "qkv.k", "qkv.v", "o")},
            "o.weight": w["o.weight"], "bias.table": table,
        })  # fmt: skip
        x = normal(2, 37, 24)
        pairs += [(theirs(x)[0], ours(x)), (theirs(x, mask=shown(REAL))[0][REAL], ours(x, Ctx(mask=REAL))[REAL])]
    return pairs


@ORACLES.of("XLNetRelativeAttention", "SegmentMemoryAttention")
def xlnet() -> Pairs:
    """Two segments, of which the second has the first as its memory, whole and token by token; with XLNet's residual and norm."""
    from transformers.models.xlnet.modeling_xlnet import XLNetModel, XLNetRelativeAttention

    config = transformers.XLNetConfig(vocab_size=5, d_model=24, n_head=3, n_layer=1, d_inner=8, attn_type="uni")
    theirs, host = noisy(XLNetRelativeAttention(config)), XLNetModel(config)
    ours, w = SegmentMemoryAttention(24, heads=3, memory=21, segment=21), theirs.state_dict()
    ours.load_state_dict({
        **{f"qkv.{x}.weight": w[x].flatten(1).T for x in "qkv"}, "r.weight": w["r"].flatten(1).T, "o.weight": w["o"].flatten(1),
        "u": w["r_w_bias"][:, None], "v": w["r_r_bias"][:, None],
    })  # fmt: skip
    x = normal(2, 42, 24)

    def segment(new: Tensor, before: Tensor | None) -> Tensor:
        length = new.shape[1] + (0 if before is None else before.shape[1])
        future = torch.ones(new.shape[1], length).triu(1 + length - new.shape[1])[..., None, None].expand(-1, -1, 2, -1)
        where = host.relative_positional_encoding(new.shape[1], length, bsz=2)
        mems = None if before is None else before.transpose(0, 1)
        return theirs(new.transpose(0, 1), None, future, None, where, None, mems=mems)[0].transpose(0, 1)

    wanted = torch.cat((segment(x[:, :21], None), segment(x[:, 21:], x[:, :21])), 1)
    state, steps = ours.init_state(2), list[Tensor]()
    for some in x.split(5, 1):
        y, state = ours.step(some, state)
        steps.append(y)
    return [(wanted, theirs.layer_norm(y + x)) for y in (ours(x), torch.cat(steps, 1))]


@ORACLES.of("PersimmonAttention", "NormedAttention")
def persimmon() -> Pairs:
    """A layer norm over each head's queries and keys; at angle 0, for ours has no positions."""
    from transformers.models.persimmon.modeling_persimmon import PersimmonAttention

    config = transformers.PersimmonConfig(hidden_size=24, num_attention_heads=3, num_hidden_layers=1)
    theirs = noisy(PersimmonAttention(config, 0))
    ours, w = NormedAttention(24, heads=3, normal=part(Normed, eps=config.layer_norm_eps)), theirs.state_dict()
    made = {"o.weight": w["dense.weight"], "o.bias": w["dense.bias"]}
    for kind in ("weight", "bias"):
        three = w[f"query_key_value.{kind}"].unflatten(0, (3, 3, 8)).unbind(1)
        made |= {f"qkv.{x}.{kind}": rows.flatten(0, 1) for x, rows in zip("qkv", three, strict=True)}
        made |= {f"normal.{x}.{kind}": w[f"{x}_layernorm.{kind}"] for x in "qk"}
    ours.load_state_dict(made)
    x = normal(2, 37, 24)
    angles = (torch.ones(2, 37, theirs.rotary_ndims), torch.zeros(2, 37, theirs.rotary_ndims))
    past = shown(REAL) + torch.full((37, 37), torch.finfo(torch.float32).min / 2).triu(1)
    found = theirs(x, attention_mask=past, position_embeddings=angles)[0]
    return [(found[REAL], ours(x, Ctx(mask=REAL))[REAL])]


@ORACLES.of("Swinv2Attention", "NormedAttention")
def swin2() -> Pairs:
    """Cosines at a learnt sharpness, some beyond the greatest; all tokens of one window see each other, and no offset has a bias."""
    from transformers.models.swinv2.modeling_swinv2 import Swinv2Attention

    theirs = noisy(Swinv2Attention(transformers.Swinv2Config(), 24, 3, 5))
    ours = NormedAttention(24, heads=3, normal=part(Unit))
    with torch.no_grad():
        theirs.self.continuous_position_bias_mlp[2].weight.zero_()
        theirs.self.logit_scale += torch.tensor([0.0, 2.0, 5.0])[:, None, None]
    w = theirs.state_dict()
    named = (("q", "query"), ("k", "key"), ("v", "value"))
    ours.load_state_dict({
        **{f"qkv.{x}.weight": w[f"self.{name}.weight"] for x, name in named}, "qkv.k.bias": torch.zeros(24),
        **{f"qkv.{x}.bias": w[f"self.{name}.bias"] for x, name in named if x != "k"},
        "normal.log_scale": w["self.logit_scale"], "o.weight": w["output.dense.weight"], "o.bias": w["output.dense.bias"],
    })  # fmt: skip
    x = normal(2, 25, 24)
    return [(theirs(x)[0], ours(x, Ctx(order=torch.zeros(2, 25, dtype=torch.long))))]


@ORACLES.of("PerceiverAttention", "CrossAttention")
def perceiver() -> Pairs:
    """Latents read an input of another width, of which a part is padding; with Perceiver's norms and residual."""
    from transformers.models.perceiver.modeling_perceiver import PerceiverAttention

    sizes: dict[str, Any] = {"qk_channels": 24, "v_channels": 24, "num_heads": 3, "q_dim": 24, "kv_dim": 10}
    theirs = noisy(PerceiverAttention(transformers.PerceiverConfig(), is_cross_attention=True, **sizes))
    ours = CrossAttention(24, heads=3, memory_dim=10)
    named = (("qkv.q", "self.query"), ("qkv.k", "self.key"), ("qkv.v", "self.value"), ("o", "output.dense"))
    w = theirs.state_dict()
    ours.load_state_dict({f"{a}.{kind}": w[f"{b}.{kind}"] for a, b in named for kind in ("weight", "bias")})
    latents, inputs = normal(2, 11, 24, seed=1), normal(2, 37, 10, seed=2)
    found = theirs(latents, inputs=inputs, inputs_mask=shown(REAL))[0]
    read = ours(theirs.self.layernorm1(latents), Ctx(memory=Memory(theirs.self.layernorm2(inputs), mask=REAL)))
    return [(found, latents + read)]


@ORACLES.of("LongformerAttention", "MultiScaleAttention")
def longformer() -> Pairs:
    """A window on both sides, with the residual and norm of a block; theirs fills rows up to whole chunks, ours does not."""
    from transformers.models.longformer.modeling_longformer import LongformerAttention

    pairs: Pairs = []
    for window in (4, 8):
        config = transformers.LongformerConfig(
            hidden_size=24, num_attention_heads=3, attention_window=[window], num_hidden_layers=1
        )
        theirs = noisy(LongformerAttention(config, 0))
        norm = part(LayerNorm, eps=config.layer_norm_eps)
        block = part(PostNorm, parts=(part(MultiScaleAttention, reaches=(window // 2,) * 3),), norm=norm)
        ours, w = block.build(Place(24)), theirs.state_dict()
        named = (
            ("parts.0.qkv.q", "self.query"), ("parts.0.qkv.k", "self.key"), ("parts.0.qkv.v", "self.value"),
            ("parts.0.o", "output.dense"), ("norms.0.norm", "output.LayerNorm"),
        )  # fmt: skip
        ours.load_state_dict({f"{a}.{kind}": w[f"{b}.{kind}"] for a, b in named for kind in ("weight", "bias")})
        x = torch.cat((normal(2, 37, 24), torch.zeros(2, 11, 24)), 1)
        real = torch.cat((REAL, torch.zeros(2, 11, dtype=torch.bool)), 1)
        found = theirs(x, torch.where(real, 0.0, -10_000.0), ~real, torch.zeros_like(real), False)[0]
        pairs.append((found[real], ours(x[:, :37], Ctx(mask=REAL))[REAL]))
    return pairs
