"""PyPI DCLS: `Dcls1d`; Thvnvtos/SNN-delays: `SnnDelays`. Tensors there are [B, C, T] and [T, B, C]."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.convert.declined import Declined
from sequary.convert.snn_surrogates import surrogate_of
from sequary.convert.weights import fill
from sequary.core.part import Part, part
from sequary.mixers.conv.delays import Bump, DelayedConv, Gaussian, Triangle
from sequary.ops.spikes import Surrogate, fire, loop

NEVER = 1e9


class Between(Bump):
    """`v0`: linear interpolation by the fraction of the place, not normalised there; a sum of 1 anyway, inside of the kernel."""

    def forward(self, gap: Tensor, spread: Tensor) -> Tensor:
        return (1 - gap.abs()).relu()


BUMPS: Mapping[str, Part[Bump]] = {
    "gauss": part(Gaussian), "max": part(Triangle), "v1": part(Triangle), "v0": part(Between)
}  # fmt: skip


class Placed(DelayedConv):
    """Groups, strides and padding, and bumps by the place P from the middle: lag K − 1 − (K // 2 + P)."""

    def __init__(self, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        get, (outputs, inputs, count) = arguments.get, weights["weight"].shape
        self.version = get("version", "v1")
        if self.version not in BUMPS:
            raise Declined(f"version={self.version!r}: known are {', '.join(BUMPS)}")
        self.size = single(get("dilated_kernel_size", 1))
        super().__init__(outputs, longest=self.size - 1, count=count, inputs=inputs, bias="bias" in weights,
                         bump=BUMPS[self.version])  # fmt: skip
        self.stride, self.groups = single(get("stride", 1)), get("groups", 1)
        self.margin, self.mode = single(get("padding", 0)), get("padding_mode", "zeros")

    def kernel(self) -> Tensor:
        if self.version != "v0":
            return super().kernel()
        lag_K = torch.arange(self.longest, -1, -1, dtype=self.delay.dtype)
        return (self.bump(lag_K - self.delay[..., None], self.spread[..., None]) * self.weight[..., None]).sum(2)

    def convolve(self, x_BCT: Tensor) -> Tensor:
        filled = F.pad(x_BCT, (self.margin, self.margin), "constant" if self.mode == "zeros" else self.mode)
        return F.conv1d(filled, self.kernel(), self.bias, self.stride, groups=self.groups)


def single(value: Any) -> int:
    """Of the one axis: a number, alone or in a list of one."""
    return int(value[0] if isinstance(value, list | tuple) else value)


class Net(nn.Module):
    """Layers of convolution, norm and neurons; what leaks from the potentials of each, and from its synapses' currents."""

    def __init__(self, convs: list[Placed], norms: list[nn.BatchNorm1d], arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self.convs, self.norms, self.arguments = nn.ModuleList(convs), nn.ModuleList(norms), arguments
        self.leaks = nn.ParameterList(torch.zeros(()) for _ in convs)
        self.currents = nn.ParameterList(torch.zeros(()) for _ in convs[:-1])

    def forward(self, x_TBC: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(what the last layer says, potentials of all)."""
        get, x, seen = self.arguments.get, x_TBC.transpose(0, 1), list[Tensor]()
        surrogate, last = surrogate_in(self.arguments), len(self.convs) - 1
        for n, conv in enumerate(self.convs):
            assert isinstance(conv, Placed)
            x = conv.convolve(F.pad(x.mT, (get("left_padding", 0), get("right_padding", 0)))).mT
            if n < last and len(self.norms):
                x = self.norms[n](x.flatten(0, 1)).view_as(x)
            if get("spiking_neuron_type", "lif") == "heaviside":
                x = x if n == last else fire(x - get("v_threshold", 1.0), surrogate)
            else:
                threshold = get("output_v_threshold", NEVER) if n == last else get("v_threshold", 1.0)
                x, v = self.neurons(x, self.leaks[n], float(threshold), surrogate)
                seen.append(v)
                if n == last and get("loss", "sum") != "spike_count":
                    x = v
            if n < last and get("stateful_synapse", False):
                x = filtered(x, self.currents[n])
        return x.transpose(0, 1), seen

    def neurons(self, x: Tensor, leak: Tensor, threshold: float, surrogate: Surrogate) -> tuple[Tensor, Tensor]:
        keep = (1 - leak).expand(x.shape[:2])
        detach = self.arguments.get("detach_reset", True)
        return loop(x, keep, torch.zeros_like(x[:, 0]), threshold, surrogate, detach=detach)


def surrogate_in(arguments: Mapping[str, Any]) -> Surrogate:
    """In eval the source's `lif` neurons run code of their own, whose spikes have no derivative; the other kinds keep theirs."""
    if arguments.get("spiking_neuron_type", "lif") == "lif":
        return torch.zeros_like
    return surrogate_of(arguments.get("surrogate_function", "ATan(alpha=5.0, spiking=True)"))


def filtered(x_BTD: Tensor, leak: Tensor) -> Tensor:
    """I_t = I_{t−1} − (1 − s_t) · leak · I_{t−1} + s_t."""
    current, found = torch.zeros_like(x_BTD[:, 0]), list[Tensor]()
    for x in x_BTD.unbind(1):
        current = current - (1 - x) * leak * current + x
        found.append(current)
    return torch.stack(found, 1)


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Placed | Net:
    if source == "Dcls1d":
        made = Placed(arguments, weights)
        return fill(made, _named(made, weights))
    if source != "SnnDelays":
        raise Declined(f"source={source!r}: known are Dcls1d and SnnDelays")
    kind = arguments.get("spiking_neuron_type", "lif")
    if kind not in ("lif", "plif", "heaviside"):
        raise Declined(f"spiking_neuron_type={kind!r}: known are lif, plif, heaviside")
    return _net(arguments, weights)


def _named(conv: Placed, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    place = weights["P"][0]
    width = weights["SIG"][0] if conv.version in ("gauss", "max") else torch.zeros_like(place)
    named = {"weight": weights["weight"], "delay": conv.longest - conv.size // 2 - place, "spread": width}
    return named | ({"bias": weights["bias"]} if "bias" in weights else {})


def _net(arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Net:
    get = arguments.get
    at = sorted(int(m[1]) for key in weights if (m := re.fullmatch(r"model\.(\d+)\.P", key)))
    own = [{k.removeprefix(f"model.{n}."): v for k, v in weights.items() if k.startswith(f"model.{n}.")} for n in at]
    told = {"version": get("DCLSversion", "gauss"), "dilated_kernel_size": get("max_delay", 1)}
    convs = [Placed(told, w) for w in own]
    normed = at[:-1] if get("use_batchnorm", True) else []
    width = own[0]["weight"].shape[0]
    net = Net(convs, [nn.BatchNorm1d(width) for _ in normed], arguments)
    made = {
        f"convs.{n}.{k}": v for n, (c, w) in enumerate(zip(convs, own, strict=True)) for k, v in _named(c, w).items()
    }
    for n, start in enumerate(normed):
        made |= {
            k.replace(f"model.{start + 1}.", f"norms.{n}."): v
            for k, v in weights.items()
            if k.startswith(f"model.{start + 1}.")
        }
    dtype, stop = own[0]["weight"].dtype, [*at[1:], 10**6]
    for n, (first, behind) in enumerate(zip(at, stop, strict=True)):
        rates = [k for k in weights if (m := re.fullmatch(r"model\.(\d+)\.w", k)) and first < int(m[1]) < behind]
        learnt = [weights[k].sigmoid() for k in sorted(rates, key=lambda k: int(k.split(".")[1]))]
        leak = torch.tensor(1 / float(get("init_tau", 2.0)), dtype=dtype)
        current = torch.tensor(1 / float(get("stateful_synapse_tau", 10.0)), dtype=dtype)
        if get("spiking_neuron_type", "lif") == "plif":
            leak = learnt.pop(0)
        made[f"leaks.{n}"] = leak
        if n + 1 < len(at):
            made[f"currents.{n}"] = learnt[0] if learnt else current
    return fill(net, made)


def replay(loaded: Placed | Net, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    if isinstance(loaded, Placed):
        return {"y": loaded.convolve(inputs["x"])}
    said, potentials = loaded(inputs["x"])
    return {"v": said} | ({"spikes_rate_probe": potentials[0].transpose(0, 1)} if potentials else {})
