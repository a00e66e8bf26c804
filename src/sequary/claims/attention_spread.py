"""Are the log weights of a kernel attention spread as those of softmax attention? A numerical experiment; nothing is learned.

Settings: `spreads` (standard deviations of normal queries and keys), `width` of the head, `tokens`. The feature maps are those of the two
recipes' attentions; each first sees its inputs, as in training, so that it may measure them. Metric `gap`: the mean over spreads of the
distance between the standard deviation of the log weights of a row and that of softmax(q·k / √K), which is close to σ_q σ_k. Noted
beside: the mean distance between the entropies of the rows (nats), and between the shares of the second singular value in the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.claims.exact import normal
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.part import Part
from sequary.core.place import Place
from sequary.mixers.linear.feature_maps import EluPlusOne, FeatureMap
from sequary.mixers.linear.kernel import CausalKernelAttention

SEEN = 100
"""Passes after which running measures have settled."""


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


def parts_of(value: Any) -> Iterator[Part[Any]]:
    """All parts inside a part, itself included."""
    if isinstance(value, Part):
        yield value
        for _, inside in value.kw:
            yield from parts_of(inside)
    elif isinstance(value, tuple):
        for inside in value:
            yield from parts_of(inside)


def feature_of(slug: str, width: int) -> FeatureMap:
    """The feature map of a recipe's first kernel attention, at a head of `width`."""
    recipe = load(slug).recipe
    assert recipe is not None
    attention = next(p for p in parts_of(recipe.model) if p.cls is CausalKernelAttention)
    feature: Part[FeatureMap] | None = attention.get("feature")
    return EluPlusOne(width) if feature is None else feature.build(Place(width))


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s = claim.settings
    gaps: dict[str, list[Tensor]] = {"system": [], "baseline": []}
    for spread in s["spreads"]:
        q, k = (spread * normal(1, s["tokens"], 1, s["width"], seed=seed, purpose=p) for p in ("queries", "keys"))
        soft = measures((torch.einsum("btk,bsk->bts", q[:, :, 0], k[:, :, 0]) / s["width"] ** 0.5).softmax(-1)[0])
        for arm, name in (("system", slug), ("baseline", claim.against or "")):
            gaps[arm].append((measures(weights(feature_of(name, s["width"]).double(), q, k)) - soft).abs())
    found = {arm: torch.stack(each).mean(0) for arm, each in gaps.items()}
    also = {f"{arm}_{name}": float(found[arm][i]) for arm in found for i, name in ((1, "entropy"), (2, "singular"))}
    return Trial(seed, float(found["system"][0]), float(found["baseline"][0]), also=also)


def weights(feature: FeatureMap, q: Tensor, k: Tensor) -> Tensor:
    """[T, T]: rows sum to 1."""
    for _ in range(SEEN):
        feature.watch(q, k, None)
    a_TS = feature.queries(q)[0, :, 0] @ feature.keys(k)[0, :, 0].mT
    return a_TS / a_TS.sum(-1, keepdim=True)


def measures(a_TS: Tensor) -> Tensor:
    """[3]: of an attention matrix, the deviation of a row's logs, a row's entropy, the second singular value over the first."""
    logs = a_TS.log()
    first, second, *_ = torch.linalg.svdvals(a_TS)
    return torch.stack((logs.std(-1).mean(), -(a_TS * logs).sum(-1).mean(), second / first))
