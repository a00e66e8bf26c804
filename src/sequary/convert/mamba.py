"""state-spaces/mamba: the block `Mamba` (mamba_simple.py) and the function `selective_scan_ref`; transformers'
`MambaForCausalLM`, whose names for the weights the models at the hub have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.blocks.norms import RMSNorm
from sequary.blocks.prenorm import PreNorm
from sequary.builders import language_model
from sequary.convert.declined import Declined
from sequary.convert.weights import Rule, fill, renamed
from sequary.core.contracts import Model
from sequary.core.part import part
from sequary.mixers.conv.short import ShortConv
from sequary.mixers.ssm.mamba import Mamba
from sequary.ops.diagonal_scan import diagonal_scan

# How the weights start, which kernel runs, where the cache lies: nothing that loaded weights leave open.
INERT = {*("dt_init", "dt_scale", "dt_min", "dt_max", "dt_init_floor", "use_fast_path", "layer_idx", "device", "dtype")}
KNOWN = INERT | {"d_model", "d_state", "d_conv", "expand", "dt_rank", "conv_bias", "bias"}
BLOCK: tuple[Rule, ...] = (
    (r"\bin_proj\b", "inner"),
    (r"\bx_proj\b", "select"),
    (r"\bdt_proj\b", "dt"),
    (r"\bout_proj\b", "out"),
    (r"\bconv1d\b", "conv"),
)
MODEL: tuple[Rule, ...] = (
    (r"^backbone\.embeddings?\.", "tokens.table."),
    (r"^backbone\.layers\.(\d+)\.norm\.", r"backbone.blocks.\1.norms.0.norm."),
    (r"^backbone\.layers\.(\d+)\.mixer\.", r"backbone.blocks.\1.parts.0."),
    (r"^backbone\.norm_f\.", "backbone.norm.norm."),
    (r"^lm_head\.", "heads.main.out."),
)

Loaded = Mamba | Model | Callable[..., tuple[Tensor, Tensor]]


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Loaded:
    """For `MambaForCausalLM` the arguments are its configuration (vocab_size, hidden_size, state_size, …)."""
    if source == "selective_scan_ref":
        return selective_scan
    if source == "Mamba":
        return _block(arguments, weights)
    if source == "MambaForCausalLM":
        return _model(arguments, weights)
    raise Declined(f"source={source!r}: known are Mamba, selective_scan_ref and MambaForCausalLM")


def _block(arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Mamba:
    for name in arguments.keys() - KNOWN:
        raise Declined(f"{name}={arguments[name]!r}: mamba_simple.Mamba has no such argument")
    rank = arguments.get("dt_rank", "auto")
    block = Mamba(
        arguments["d_model"],
        expand=arguments.get("expand", 2),
        states=arguments.get("d_state", 16),
        rank=None if rank == "auto" else rank,
        conv=part(ShortConv, taps=arguments.get("d_conv", 4), bias=arguments.get("conv_bias", True)),
        bias=arguments.get("bias", False),
    )
    return fill(block, tapped(renamed(weights, BLOCK)))


def _model(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Model:
    if config.get("hidden_act", "silu") != "silu":
        raise Declined(f"hidden_act={config['hidden_act']!r}: the block's activation is SiLU, as in the paper")
    rank, dim = config.get("time_step_rank", "auto"), config["hidden_size"]
    mixer = part(
        Mamba,
        expand=config.get("expand", 2) if "intermediate_size" not in config else config["intermediate_size"] / dim,
        states=config.get("state_size", 16),
        rank=None if rank == "auto" else rank,
        conv=part(ShortConv, taps=config.get("conv_kernel", 4), bias=config.get("use_conv_bias", True)),
        bias=config.get("use_bias", False),
    )
    norm = part(RMSNorm, eps=config.get("layer_norm_epsilon", 1e-5))
    block = part(PreNorm, parts=(mixer,), norm=norm)
    depth = config.get("num_hidden_layers", 32)
    recipe = language_model(dim=dim, depth=depth, blocks=(block,), norm=norm, vocab=config["vocab_size"])
    tied = {"lm_head.weight": next(v for k, v in weights.items() if k.startswith("backbone.embedding"))}
    return fill(recipe.build(), tapped(renamed({**tied, **weights}, (*MODEL, *BLOCK))))


def tapped(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Depthwise kernels [D, 1, K] as [D, K]."""
    return {k: v.squeeze(1) if k.endswith("conv.weight") else v for k, v in weights.items()}


def replay(loaded: Loaded, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    if isinstance(loaded, Mamba):
        return _replay_block(loaded, inputs["x"], arguments.get("d_conv", 4))
    if isinstance(loaded, Model):
        raise Declined("source='MambaForCausalLM': no case is kept of it; call the model")
    y, last = loaded(**inputs, delta_softplus=arguments.get("delta_softplus", False))
    return {"y": y, "last_state": last}


def _replay_block(block: Mamba, x: Tensor, taps: int) -> dict[str, Tensor]:
    """The whole pass, and the half of it as one step with the other half token by token. The source's convolution state is
    the last K inputs, one more than ours."""
    half, state, parts = x.shape[1] // 2, block.init_state(x.shape[0]), list[Tensor]()
    if half:
        y, state = block.step(x[:, :half], state)
        parts.append(y)
    prefilled = state.hidden
    for token in x[:, half:].split(1, 1):
        y, state = block.step(token, state)
        parts.append(y)
    fed = F.pad(block.inner(x).chunk(2, -1)[0].mT, (taps, 0))
    return {
        "y": block(x),
        "y_step": torch.cat(parts, 1),
        "prefill_conv_state": fed[..., half : half + taps],
        "prefill_ssm_state": prefilled,
        "conv_state": fed[..., -taps:],
        "ssm_state": state.hidden,
    }


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
) -> tuple[Tensor, Tensor]:
    """The source's `selective_scan_ref` and the last state. u, delta, z [B, D, L]; A [D, N]; B, C [D, N], [B, N, L] or [B, G, N, L]."""
    if A.is_complex():
        raise Declined("A=complex: the paper's model is real")
    dt = delta if delta_bias is None else delta + delta_bias[:, None]
    dt = (F.softplus(dt) if delta_softplus else dt).mT
    B_BTGN, C_BTGN = _grouped(B, u), _grouped(C, u)
    groups = max(B_BTGN.shape[2], C_BTGN.shape[2])
    if groups % B_BTGN.shape[2] or groups % C_BTGN.shape[2]:
        groups = u.shape[1]
    B_BTGN, C_BTGN = (x.repeat_interleave(groups // x.shape[2], 2) for x in (B_BTGN, C_BTGN))
    first = u.new_zeros(u.shape[0], *A.shape)
    y, last = diagonal_scan(u.mT, dt, A, B_BTGN, C_BTGN, first)
    y = y.mT if D is None else y.mT + u * D[:, None]
    return (y if z is None else y * F.silu(z)), last


def _grouped(x: Tensor, u: Tensor) -> Tensor:
    """[B, T, G, N]: constants [D, N] are one group a channel, [B, N, L] is one group for all."""
    if x.dim() == 2:
        return x.expand(u.shape[0], u.shape[2], -1, -1)
    return cast(Tensor, x.permute(0, 2, 1)[:, :, None] if x.dim() == 3 else x.permute(0, 3, 1, 2))
