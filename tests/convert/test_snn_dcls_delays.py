"""Options of DCLS and SNN-delays that no golden holds, each against its formula or another way to the same numbers; what is declined."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sequary.convert import snn_dcls_delays
from sequary.convert.declined import Declined
from sequary.convert.snn_surrogates import surrogate_of
from sequary.convert.source import read_weights
from sequary.ops.spikes import fire

GOLDENS = Path(__file__).parents[1] / "parity" / "goldens" / "snn-dcls-delays"


def case(name: str, **changes: Any) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, Tensor]]:
    tensors = read_weights(GOLDENS / f"{name}.safetensors")
    arguments = {**json.loads((GOLDENS / f"{name}.json").read_text(encoding="utf-8"))["arguments"], **changes}
    return arguments, {k[2:]: v for k, v in tensors.items() if k.startswith("w.")}, {"x": tensors["in.x"]}


def net(weights: dict[str, Tensor], inputs: dict[str, Tensor], arguments: dict[str, Any]) -> Tensor:
    loaded = snn_dcls_delays.load("SnnDelays", arguments, weights)
    return snn_dcls_delays.replay(loaded, inputs, arguments)["v"]


def test_v0_interpolates_and_strides_and_padding_are_those_of_a_convolution() -> None:
    arguments, weights, inputs = case("a2", version="v0", stride=2, padding=3, padding_mode="circular")
    place, kernel = weights["P"][0] + 4, torch.zeros(6, 5, 9, dtype=torch.float64)
    for o in range(6):
        for i in range(5):
            for n in range(2):
                below = int(place[o, i, n].floor())
                part = float(place[o, i, n]) - below
                kernel[o, i, below] += (1 - part) * weights["weight"][o, i, n]
                if below < 8:
                    kernel[o, i, below + 1] += part * weights["weight"][o, i, n]
    loaded = snn_dcls_delays.load("Dcls1d", arguments, weights)
    y = snn_dcls_delays.replay(loaded, inputs, arguments)["y"]
    torch.testing.assert_close(y, F.conv1d(F.pad(inputs["x"], (3, 3), "circular"), kernel, weights["bias"], stride=2))


def test_learnt_leaks_are_those_that_are_told() -> None:
    arguments, weights, inputs = case("a3", init_tau=4.0)
    learnt = {f"model.{n}.w": torch.tensor(0.25, dtype=torch.float64).logit() for n in (2, 6, 9)}
    plif = {**arguments, "spiking_neuron_type": "plif"}
    torch.testing.assert_close(net(weights | learnt, inputs, plif), net(weights, inputs, arguments))


def test_synapses_filter_spikes_and_spikes_are_counted() -> None:
    arguments, weights, inputs = case("a3", stateful_synapse=True, stateful_synapse_tau=1e12)
    spikes = torch.tensor([[[1.0], [0.0], [1.0], [0.0]]])
    torch.testing.assert_close(
        snn_dcls_delays.filtered(spikes, torch.tensor(0.5)).flatten(), torch.tensor([1.0, 0.5, 1.5, 0.75])
    )
    assert not torch.allclose(
        net(weights, inputs, arguments), net(weights, inputs, {**arguments, "stateful_synapse": False})
    )
    counted = net(weights, inputs, {**arguments, "loss": "spike_count", "output_v_threshold": 0.1})
    assert set(counted.unique().tolist()) == {0.0, 1.0}


def test_steps_without_memory() -> None:
    """`heaviside`: a spike wherever the current is enough, and currents at the end."""
    arguments, weights, inputs = case("a3", spiking_neuron_type="heaviside", use_batchnorm=False)
    kept = {k: v for k, v in weights.items() if not k.startswith(("model.1.", "model.5."))}
    loaded = snn_dcls_delays.load("SnnDelays", arguments, kept)
    assert isinstance(loaded, snn_dcls_delays.Net)
    x = inputs["x"].transpose(0, 1)
    for n, conv in enumerate(loaded.convs):
        assert isinstance(conv, snn_dcls_delays.Placed)
        x = F.conv1d(F.pad(x.mT, (8, 4)), conv.kernel()).mT
        x = x if n == 2 else (x >= 1).double()
    torch.testing.assert_close(snn_dcls_delays.replay(loaded, inputs, arguments), {"v": x.transpose(0, 1)})


@pytest.mark.parametrize(
    ("text", "slope"),
    [
        ("ATan(alpha=2.0, spiking=True)", 1.0),
        ("Sigmoid(alpha=4.0, spiking=True)", 1.0),
        ("SoftSign(alpha=2.0)", 1.0),
        ("surrogate.Erf(alpha=2.0)", 2 / torch.pi**0.5),
        ("PiecewiseExp()", 0.5),
    ],
)
def test_slopes_of_surrogates_at_the_threshold(text: str, slope: float) -> None:
    gap = torch.tensor(1e-9, dtype=torch.float64, requires_grad=True)
    spike = fire(gap, surrogate_of(text))
    assert float(spike.detach()) == 1
    assert float(torch.autograd.grad(spike, gap)[0]) == pytest.approx(slope, abs=1e-6)


def test_what_is_declined_says_so() -> None:
    arguments, weights, inputs = case("a3")
    with pytest.raises(Declined, match="surrogate_function='Rect"):
        net(weights, inputs, {**arguments, "spiking_neuron_type": "heaviside", "surrogate_function": "Rect(alpha=1.0)"})
    with pytest.raises(Declined, match="spiking_neuron_type='if'"):
        net(weights, inputs, {**arguments, "spiking_neuron_type": "if"})
    with pytest.raises(Declined, match="version='v2'"):
        snn_dcls_delays.load("Dcls1d", {"version": "v2"}, case("a1")[1])
