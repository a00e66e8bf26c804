"""flash-linear-attention's kernels as the form "kernels" of the recurrent ops, on a GPU, with the extra `kernels` installed.

They serve half precision: in float32 their products are of TF32, a thousand times coarser than the chunked form. torch.compile does not
see through them and keeps the chunked form. Asked for by `form("kernels")` where they cannot run, they are an error. The general delta
rule (e beside k) is their transition of a diagonal plus rank one, diag(exp(g)) − k (e ⊙ exp(g))ᵀ: RWKV-7's kernel.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from sequary.ops.forms import recurrent

HALF = (torch.bfloat16, torch.float16)
LEAST = -30.0
"""Log of a decay that kernels, which subtract sums of logs, can still take: e^-30 is nothing beside float32's 1e-7."""


def installed() -> bool:
    return find_spec("fla") is not None and find_spec("triton") is not None


def usual(v_BTHV: Tensor) -> str:
    """The default form for these values: "kernels" where they serve, or as `forms.recurrent` says."""
    plain = recurrent(v_BTHV.shape[1])
    serve = v_BTHV.is_cuda and v_BTHV.dtype in HALF and not torch.compiler.is_compiling() and installed()
    return "kernels" if plain == "chunked" and serve else plain


def check(v_BTHV: Tensor) -> None:
    """Raises RuntimeError where the form was asked for and cannot run."""
    if not installed():
        raise RuntimeError('form "kernels" needs flash-linear-attention and triton: pip install "sequary[kernels]"')
    if not v_BTHV.is_cuda:
        raise RuntimeError(f'form "kernels" runs on a GPU, and these tensors are on {v_BTHV.device}: use "chunked"')
    if v_BTHV.dtype not in HALF:
        raise RuntimeError(f'form "kernels" is for bfloat16 and float16, and these are {v_BTHV.dtype}: use "chunked"')


def linear(q: Tensor, k: Tensor, v: Tensor, g: Tensor | None, S: Tensor) -> tuple[Tensor, Tensor]:
    """As ops/linear_attend.py, all heads their own."""
    if g is not None and g.shape[-1] > 1:
        return _run("gla", "chunk_gla", q, k, v, _finite(g), S=S)
    return _run("simple_gla", "chunk_simple_gla", q, k, v, None if g is None else _finite(g)[..., 0], S=S)


def delta(q: Tensor, k: Tensor, v: Tensor, e: Tensor, g: Tensor | None, S: Tensor) -> tuple[Tensor, Tensor]:
    """As ops/delta_rule.py."""
    rates = torch.zeros_like(k, dtype=torch.float32) if g is None else _finite(g).expand_as(k).contiguous()
    taken = -(e.float() * rates.exp()).to(k.dtype)
    return _run("generalized_delta_rule", "chunk_dplr_delta_rule", q, k, v, taken, k, rates, S=S)


def _run(module: str, name: str, *given: Tensor | None, S: Tensor) -> tuple[Tensor, Tensor]:
    kernel: Any = getattr(import_module(f"fla.ops.{module}"), name)
    return kernel(*given, scale=1.0, initial_state=S.float(), output_final_state=True)


def _finite(g: Tensor) -> Tensor:
    return g.float().clamp(min=LEAST)
