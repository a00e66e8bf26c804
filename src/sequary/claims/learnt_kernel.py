"""A kernel that must be found: similarity that waves with the difference of query and key, κ(δ) = cos(ω₀·δ) exp(−|δ|² / 2).

ω₀ of length `wave` has a random direction in `width` dimensions, drawn with the seed. Random features of x, y ~ N(0, I) learn by mean
squared error and Adam for `steps` steps of `batch` fresh pairs that φ(a x)·φ(a y) be κ(x − y), a scale a learnt by all. System: Fourier
features whose spectrum is a learnt Gaussian; baseline: as many features with fixed normal frequencies, a Gaussian kernel of any breadth.
Metric `error`: the mean squared error on fresh pairs over the variance of κ, so that 1 is the mean's, which the system must beat and
the baseline may not; each arm with the rate of `grid` that is best on held-out pairs. Exact part: with normal frequencies the product of
positive features nears exp(−|x − y|² / 2) as they grow in number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sequary.claims.exact import CPU
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.linear.spectra import Gaussians, Normal
from sequary.mixers.linear.spectral_maps import Fourier, Positive
from sequary.train.seeds import derive, forked, generator

FEW, MANY = 16, 4096


class Kernel(nn.Module):
    """φ(a x)·φ(a y) of one head."""

    def __init__(self, feature: Part[Fourier], width: int) -> None:
        super().__init__()
        self.feature, self.log_a = feature.build(Place(width)), nn.Parameter(torch.zeros(()))

    def forward(self, pairs_2NK: Tensor) -> Tensor:
        x, y = (self.feature.queries(self.log_a.exp() * z[None, :, None]) for z in pairs_2NK)
        return (x * y).sum(-1).flatten()


def arms(features: int) -> dict[str, Part[Fourier]]:
    """Both have `features` features, and 1 at no difference."""
    same = {"temperature": 1.0, "constant": 0.0, "scale": (features / 2) ** -0.5}
    return {
        "system": part(Fourier, spectrum=part(Gaussians), samples=features // 4, **same),
        "baseline": part(Fourier, spectrum=part(Normal), samples=features // 2, **same),
    }


def pairs(settings: Mapping[str, Any], count: int, seed: int, purpose: str) -> tuple[Tensor, Tensor]:
    """[2, count, K] points, [count] what their similarity should be."""
    wave_K = torch.randn(settings["width"], generator=generator(CPU, seed, "wave"))
    wave_K = settings["wave"] * wave_K / wave_K.norm()
    x_2NK = torch.randn(2, count, settings["width"], generator=generator(CPU, seed, purpose))
    delta_NK = x_2NK[0] - x_2NK[1]
    return x_2NK, (delta_NK @ wave_K).cos() * (-delta_NK.square().sum(-1) / 2).exp()


def trained(feature: Part[Fourier], settings: Mapping[str, Any], rate: float, seed: int) -> Kernel:
    with forked(CPU):
        torch.manual_seed(derive(seed, "weights"))
        model = Kernel(feature, settings["width"])
    adam = torch.optim.Adam(model.parameters(), lr=rate)
    given, wanted = pairs(settings, settings["steps"] * settings["batch"], seed, "learn")
    for x, y in zip(given.split(settings["batch"], 1), wanted.split(settings["batch"]), strict=True):
        adam.zero_grad()
        (model(x) - y).square().mean().backward()
        adam.step()
    return model


@torch.no_grad()
def error(model: Kernel, settings: Mapping[str, Any], seed: int, purpose: str) -> float:
    x, y = pairs(settings, 4096, seed, purpose)
    return float((model(x) - y).square().mean() / y.var())


def tune(slug: str, claim: Claim) -> dict[str, float]:
    """The learning rate of each arm, by the first seed."""
    s = claim.settings
    return {
        name: min(s["grid"], key=lambda rate, f=feature: error(trained(f, s, rate, 0), s, 0, "choose"))
        for name, feature in arms(s["features"]).items()
    }


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, float]) -> Trial:
    s = claim.settings
    found = {n: error(trained(f, s, chosen[n], seed), s, seed, "test") for n, f in arms(s["features"]).items()}
    few, many = (estimate(samples, seed) for samples in (FEW, MANY))
    broken = "" if many < few / 4 else f"with {MANY} features the kernel is {many:.2g} off, with {FEW} {few:.2g}"
    if found["system"] >= 1:
        broken = f"the learnt spectrum has an error of {found['system']:.2f}, the mean one of 1"
    return Trial(seed, found["system"], found["baseline"], broken=broken, also={"few": few, "many": many})


def estimate(samples: int, seed: int) -> float:
    """The root mean squared distance between the product of `samples` positive features and the Gaussian kernel."""
    with forked(CPU):
        torch.manual_seed(derive(seed, "frequencies"))
        feature = Positive(2, spectrum=part(Normal), samples=samples, temperature=1.0).double()
        q, k = (torch.rand(1, 200, 1, 2, dtype=torch.float64) for _ in range(2))
    exact = (-(q - k).square().sum(-1) / 2).exp()
    return float(((feature.queries(q) * feature.keys(k)).sum(-1) - exact).square().mean().sqrt())
