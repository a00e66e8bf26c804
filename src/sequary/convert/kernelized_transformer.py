"""cs1160701/OnLearningTheKernel: `LinearAttention` with each feature map that the repository's code can build."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.convert.declined import Declined
from sequary.convert.weights import fill
from sequary.core.part import Part, part
from sequary.mixers.linear.feature_maps import FeatureMap
from sequary.mixers.linear.spectra import DiagonalGaussians, Fastfood, Gaussians, Generated, Normal, Spectrum
from sequary.mixers.linear.spectral_maps import Fourier, Positive
from sequary.ops.kernel_attend import kernel_sums, mean, with_ones

SMOOTHED, SUFFIX = "Smoothed", " in LinearAttention"
FOURIER: Mapping[str, Part[Spectrum]] = {
    "RandomFourierFeatures": part(Normal),
    "GaussianFourierFeatures": part(Gaussians, heads=1),
    "GaussianMixtureFourierFeatures": part(Gaussians),
    "GenerativeRandomFourierFeatures": part(Generated),
    "FastFoodRandomFeatures": part(Fastfood),
}
POSITIVE: Mapping[str, tuple[Part[Spectrum], float, bool]] = {
    "Favor": (part(Normal), 0.5, True),
    "GaussianPRF": (part(Normal), 1.0, True),
    "GaussianMixturePositive": (part(DiagonalGaussians), 1.0, False),
    "GaussianMixturePositiveHyperbolic": (part(DiagonalGaussians, isotropic=True), 1.0, True),
    "GenerativePositiveRandomFeatures": (part(Generated), 1.0, False),
}
KNOWN = {
    *(
        "query_dimensions",
        "n_heads",
        "n_dims",
        "softmax_temp",
        "orthogonal",
        "redraw",
        "deterministic_eval",
        "stabilize",
    ),
    *("smoothing", "noise_dims", "n_samples", "learn_S", "learn_G_B", "eps"),
}


class Stabilised(Positive):
    """The source's `stabilize`: features times exp(−max_t |x_t|²), which leaves the ratio as it is but for eps."""

    def queries(self, q_BTHK: Tensor) -> Tensor:
        square = q_BTHK.square().sum(-1, keepdim=True) * self.temperature
        return super().queries(q_BTHK) * (-square.amax(1, keepdim=True)).exp()


def load(source: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]) -> FeatureMap:
    name = source.removesuffix(SUFFIX)
    for argument in arguments.keys() - KNOWN:
        raise Declined(f"{argument}={arguments[argument]!r}: {name} has no such argument")
    made = _positive(name, arguments) if name in POSITIVE else _fourier(name, arguments)
    if isinstance(made, Fourier) and isinstance(made.spectrum, Fastfood):
        made.double()  # what is not learnt, and the permutation, come with the inputs
        given = {n: weights[f"feature_map.{n}"] for n in "SGB" if f"feature_map.{n}" in weights}
        return _diagonals(made, given).eval()
    return fill(made, _renamed(made, weights))


def _fourier(name: str, arguments: Mapping[str, Any]) -> Fourier:
    plain = name.removeprefix(SMOOTHED)
    if plain not in FOURIER:
        reason = "the repository's code cannot build it, or no linear attention of its own reads its features"
        raise Declined(f"source={name!r}: {reason}; known are {', '.join((*FOURIER, *POSITIVE))}")
    dim, smooth = arguments["query_dimensions"], plain != name
    spectrum = _spectrum(FOURIER[plain], arguments)
    groups = 2 if spectrum.cls is Gaussians else 1
    features = _features(arguments) - smooth
    samples = dim if spectrum.cls is Fastfood else features // (2 * groups)
    scale = dim**-0.5 if spectrum.cls is Fastfood else math.sqrt(2 * groups / features)
    constant = arguments.get("smoothing", 1.0) if smooth else 0.0
    return Fourier(
        dim,
        heads=arguments.get("n_heads", 1),
        spectrum=spectrum,
        samples=samples,
        temperature=arguments.get("softmax_temp"),
        constant=constant,
        scale=scale,
    )


def _positive(name: str, arguments: Mapping[str, Any]) -> Positive:
    spectrum, offset, mirrored = POSITIVE[name]
    features = _features(arguments) - (name == "GenerativePositiveRandomFeatures")
    halved = mirrored or name == "GenerativePositiveRandomFeatures"
    return (Stabilised if arguments.get("stabilize", False) else Positive)(
        arguments["query_dimensions"],
        heads=arguments.get("n_heads", 1),
        spectrum=_spectrum(spectrum, arguments),
        samples=features // 2 if halved else features,
        temperature=arguments.get("softmax_temp"),
        offset=offset,
        mirrored=mirrored,
        scale=features**-0.5,
    )


def _spectrum(spectrum: Part[Spectrum], arguments: Mapping[str, Any]) -> Part[Spectrum]:
    return spectrum.but(widths=tuple(arguments["noise_dims"])) if spectrum.cls is Generated else spectrum


def _features(arguments: Mapping[str, Any]) -> int:
    given = arguments.get("n_dims")
    return arguments["query_dimensions"] if given is None else given


def _renamed(made: FeatureMap, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    own = dict(made.state_dict())
    found: dict[str, Tensor] = {}
    for key, value in weights.items():
        name = key.removeprefix("feature_map.")
        if name == "_calls" or name.endswith("num_batches_tracked"):
            continue
        if name.startswith("generator."):
            _, _, layer, kind, leaf = name.split(".")
            name = f"net.{3 * int(layer) + (kind == 'batch_norm')}.{leaf}"
        name = {"omega": "noise", "sigma": "sigma" if "spectrum.sigma" in own else "log_variance"}.get(name, name)
        found[f"spectrum.{name}"] = value.reshape(own[f"spectrum.{name}"].shape)
    return found


def _diagonals(made: Fourier, given: Mapping[str, Tensor]) -> Fourier:
    with torch.no_grad():
        for name, value in given.items():
            made.spectrum.get_parameter(name.lower()).copy_(value)
    return made


def replay(loaded: FeatureMap, inputs: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    if isinstance(loaded, Fourier) and isinstance(loaded.spectrum, Fastfood):
        _diagonals(loaded, {n: inputs[n] for n in "SGB" if n in inputs})
        loaded.spectrum.place.copy_(inputs["P"])
    q, k = loaded.queries(inputs["queries"]), loaded.keys(inputs["keys"])
    sums = kernel_sums(q, k, with_ones(inputs["values"]))
    return {"phi_q": q, "phi_k": k, "y": mean(sums, arguments.get("eps", 1e-6))}
