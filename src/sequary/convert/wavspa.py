"""EvanZhuang/wavspa (JAX): `WavspaBlock` with each of its attentions, and its transforms as functions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from sequary.convert.declined import Declined
from sequary.convert.wavspa_parts import ATTENTIONS, LinearLifting, Reflected, RingLifting
from sequary.convert.weights import fill, renamed
from sequary.core.part import part
from sequary.core.place import Place
from sequary.mixers.spectral.transformed import TransformedMixer
from sequary.mixers.spectral.transforms import Transform, Wavelets
from sequary.ops.wavelets import daubechies, turned

FUNCTIONS: Mapping[str, type[Wavelets]] = {
    "wavedec_learn, waverec_learn": Reflected,
    "liftdec, liftrec": LinearLifting,
    "liftdec_learn, liftrec_learn": RingLifting,
}


class Block(nn.Module):
    """z = mixer(norm(x)) + x, y = z + mlp(z): no norm before the second."""

    def __init__(self, dim: int, hidden: int, mixer: TransformedMixer) -> None:
        super().__init__()
        self.norm, self.mixer = nn.LayerNorm(dim, eps=1e-6), mixer
        self.up, self.down = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x_BTD: Tensor) -> Tensor:
        z = self.mixer(self.norm(x_BTD)) + x_BTD
        return z + self.down(F.gelu(self.up(z), approximate="tanh"))


class There(nn.Module):
    """And back: what `functional_call` calls, so that the filters keep their derivatives."""

    def __init__(self, transform: Wavelets) -> None:
        super().__init__()
        self.transform = transform

    def forward(self, x_BTD: Tensor) -> tuple[list[Tensor], Tensor]:
        bands = self.transform.split(x_BTD)
        return bands, self.transform.merge(bands, x_BTD.shape[1])[:, : x_BTD.shape[1]]


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> type[Wavelets] | Block:
    if source in FUNCTIONS:
        return FUNCTIONS[source]
    if source != "WavspaBlock":
        raise Declined(f"source={source!r}: known are WavspaBlock, {'; '.join(FUNCTIONS)}")
    kind = arguments.get("model_type", "transformer")
    if kind not in ATTENTIONS:
        raise Declined(f"model_type={kind!r}: the source has {', '.join(ATTENTIONS)}")
    dim = weights["LayerNorm_0.scale"].shape[0]
    mixer = part(ATTENTIONS[kind], heads=int(arguments["num_heads"]), width=int(arguments["qkv_dim"]))
    if kind == "linformer":
        mixer = mixer.but(length=int(arguments["max_len"]))
    made, filters = _filters(arguments, weights)
    mixing = part(TransformedMixer, transform=part(made, levels=int(arguments.get("level", 2))), mixer=mixer)
    block = Block(dim, int(arguments["mlp_dim"]), mixing.build(Place(dim)))
    return fill(block, _renamed(weights, dim) | filters)


def _filters(arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> tuple[type[Transform], dict[str, Tensor]]:
    """The transform and its filters, by the words that the argument contains, as the source reads them."""
    wavelet, at = arguments.get("wavelet", "db2"), "mixer.transform."
    if "adalift" in wavelet:
        return RingLifting, {f"{at}guess": weights["adawave_est"], f"{at}update": weights["adawave_pred"]}
    if "lift" in wavelet:
        return LinearLifting, {}
    if "ortho" in wavelet:
        return Reflected, {f"{at}h0": turned(weights["thetas"])}
    if "adawave" in weights:
        return Reflected, {f"{at}h0": weights["adawave"]}
    taps, norm = int(arguments.get("wlen", 32)), weights["LayerNorm_0.scale"]
    if taps > 40:
        raise Declined(f"wlen={taps}: above 40 the source finds Daubechies' filters by a method that is not exact")
    return Reflected, {f"{at}h0": daubechies(taps).flip(0)[:, None].repeat(1, norm.shape[0]).to(norm.dtype)}


def _renamed(weights: Mapping[str, Tensor], dim: int) -> dict[str, Tensor]:
    rules = (
        (r"^LayerNorm_0\.", "norm."),
        (r"^MlpBlock_0\.Dense_0", "up"),
        (r"^MlpBlock_0\.Dense_1", "down"),
        (r"^\w+_(\d+)\.(SelfAttention_0\.)?(query|key|value|out|LayerNorm|lr_kernel)", r"mixer.mixers.\1.\3"),
        (r"(query|key|value)_sliding_window", r"\1"),
        (r"\.(query|key|value|out)\.", lambda m: f".{m[1][0]}."),
        (r"LayerNorm_", "norms."),
        (r"\.(kernel|scale)$", ".weight"),
    )
    made = renamed(weights, rules, drop=r"^(adawave\w*|thetas)$|_global\.")
    return {name: _shaped(name, value, dim) for name, value in made.items()}


def _shaped(name: str, value: Tensor, dim: int) -> Tensor:
    """Kernels there are [in, out], with heads and their width as axes of their own."""
    if re.search(r"\.[qkv]\.weight$", name):
        return value.reshape(dim, -1).mT
    if name.endswith("lr_kernel") or value.dim() == 1:
        return value
    return value.flatten() if name.endswith("bias") else value.reshape(-1, value.shape[-1]).mT


def replay(
    loaded: type[Wavelets] | Block, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]
) -> dict[str, Tensor]:
    x = inputs["x"]
    if isinstance(loaded, Block):
        real = inputs.get("padding_mask")
        return {"y": loaded(x if real is None else x * real.bool())}
    transform = loaded(x.shape[2], levels=int(arguments.get("level", 1)))
    own = {"h0": "h0", "est": "guess", "pred": "update"}
    given = {f"transform.{own[name]}": value for name, value in inputs.items() if name in own}
    bands, back = functional_call(There(transform), given, (x,))
    named = {f"coef{n}": band[:, None] if loaded is Reflected else band for n, band in enumerate(bands)}
    return {**named, "rec": back}
