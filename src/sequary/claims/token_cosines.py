"""At initialisation: deep shaped transformers keep their tokens apart, as an equation says; others make them alike.

`nets` networks of `depth` blocks and `width` features, each with fresh weights of variance 1 / inputs, read `tokens` tokens whose cosines
are all `cosine`. Metric: their mean cosine after the last block, averaged over networks. System: the block of the recipe; baseline:
that of the variant that `against` names; `beside`: further variants, noted by name. Exact part: the quantiles of the system's
networks are those of `paths` paths of ops/covariance_sde.py to a Kolmogorov–Smirnov distance of `distance`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from scipy import stats
from torch import Tensor, nn

from sequary.claims.exact import CPU
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Mixer
from sequary.core.part import Part
from sequary.core.place import Place
from sequary.mixers.mlp.shaped import ShapedMLP
from sequary.ops.covariance_sde import Shape, cosines, paths
from sequary.probe.token_cosines import covariance
from sequary.train.seeds import derive, forked, generator


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s = claim.settings
    names = {"system": slug, "baseline": claim.against or "", **{n: n for n in s["beside"]}}
    found = {arm: networks(block_of(name), s, seed) for arm, name in names.items()}
    v_BTT = start(s).expand(s["paths"], -1, -1)
    shares = torch.ones(s["tokens"], s["tokens"], dtype=torch.float64).tril()
    shares = shares / shares.sum(-1, keepdim=True)
    rng = generator(CPU, seed, "paths")
    said = cosines(paths(v_BTT, shares, shape(block_of(slug)), layers=s["depth"], width=s["width"], rng=rng)[-1])
    test: Any = stats.ks_2samp(found["system"].numpy(), said.numpy())
    apart = float(test.statistic)
    broken = "" if apart <= s["distance"] else f"networks and equation are {apart:.2f} apart (Kolmogorov–Smirnov)"
    also = {arm: float(c.mean()) for arm, c in found.items() if arm not in ("system", "baseline")}
    also |= {"equation": float(said.mean()), "distance": apart}
    return Trial(seed, float(found["system"].mean()), float(found["baseline"].mean()), broken=broken, also=also)


def block_of(name: str) -> Part[Mixer]:
    """The last of the recipe's blocks: one behind the first layer."""
    recipe = load(name).recipe
    assert recipe is not None
    return recipe.model.get("backbone").get("blocks")[-1]


def shape(block: Part[Mixer]) -> Shape:
    attention, mlp = block.get("parts")
    assert mlp.cls is ShapedMLP
    ratio, above, below = (mlp.get(n, d) for n, d in (("ratio", 4.0), ("above", 0.0), ("below", -1.0)))
    gain = block.get("gain", 0.5)
    return Shape(gain, attention.get("temperature", 1.0), attention.get("heads", 4), ratio, above - below)


def start(settings: Mapping[str, Any]) -> Tensor:
    """[1, T, T]: unit tokens, all cosines the same."""
    one = torch.eye(settings["tokens"], dtype=torch.float64)
    return ((1 - settings["cosine"]) * one + settings["cosine"])[None]


@torch.no_grad()
def networks(block: Part[Mixer], settings: Mapping[str, Any], seed: int) -> Tensor:
    """[nets]: the mean cosine after `depth` blocks, each drawn anew."""
    width, place = settings["width"], Place(settings["width"], depth=settings["depth"])
    found: list[Tensor] = []
    for number in range(settings["nets"]):
        with forked(CPU):
            torch.manual_seed(derive(seed, f"network {number}"))
            directions, _ = torch.linalg.qr(torch.randn(width, settings["tokens"], dtype=torch.float64))
            x = (torch.linalg.cholesky(start(settings)) @ directions.mT * width**0.5).float()
            for layer in range(settings["depth"]):
                x = drawn(block.build(place.at(layer=layer)))(x)
        found.append(cosines(covariance(x.double())))
    return torch.cat(found)


def drawn(block: Mixer) -> Mixer:
    """With the variance 1 / inputs in all linear maps, so that the arms differ in what they do and not in how they begin."""
    for layer in block.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
    return block.eval()
