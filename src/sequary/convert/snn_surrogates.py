"""spikingjelly's surrogates by what they print as, such as "ATan(alpha=5.0, spiking=True)"."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from torch import Tensor

from sequary.convert.declined import Declined
from sequary.ops.spikes import Surrogate, arctan


def sigmoid(alpha: float) -> Surrogate:
    return lambda gap: (alpha * gap).sigmoid()


def soft_sign(alpha: float) -> Surrogate:
    return lambda gap: gap / (1 / alpha + gap.abs()) / 2 + 0.5


def normal(alpha: float) -> Surrogate:
    return lambda gap: (1 + (alpha * gap).erf()) / 2


def exponential(alpha: float) -> Surrogate:
    """A slope of α exp(−α |gap|) / 2."""

    def soft(gap: Tensor) -> Tensor:
        return 0.5 + gap.sign() * (1 - (-alpha * gap.abs()).exp()) / 2

    return soft


KNOWN: Mapping[str, tuple[Callable[[float], Surrogate], float]] = {
    "ATan": (arctan, 2.0),
    "Sigmoid": (sigmoid, 4.0),
    "SoftSign": (soft_sign, 2.0),
    "Erf": (normal, 2.0),
    "PiecewiseExp": (exponential, 1.0),
}


def surrogate_of(text: str) -> Surrogate:
    name = text.partition("(")[0].rpartition(".")[2]
    if name not in KNOWN:
        raise Declined(f"surrogate_function={text!r}: known are {', '.join(KNOWN)}")
    if re.search(r"spiking=False", text):
        raise Declined(f"surrogate_function={text!r}: not spiking, its neurons say the surrogate instead of spikes")
    make, alpha = KNOWN[name]
    stated = re.search(r"alpha=([0-9.eE+-]+)", text)
    return make(float(stated[1]) if stated else alpha)
