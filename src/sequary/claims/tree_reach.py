"""Exact: layers until every token of a document has heard of every other, along its tree and in a window of as many pairs.

Settings: `sections`, `sentences`, `words` (the most of each; a seed draws how many there are), `dim`, `heads`. System: `TreeAttention`;
baseline: a centred window whose width gives at least as many pairs. Metric `layers`: the smallest power of the matrix of who reads
whom that has no zero; in the tree it is word, sentence, section and back, five for any document. Exact parts: who reads whom, by the
gradients of the mixer, is the definition (siblings, parent, children); pairs are at most `share` of all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sequary.claims.exact import CPU, drawn, normal, reads
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.ctx import Ctx
from sequary.mixers.attention.document_tree import TreeAttention
from sequary.train.seeds import generator


def tune(slug: str, claim: Claim) -> dict[str, Any]:
    """Nothing is learned, so there is nothing to choose."""
    return {}


def document(settings: Mapping[str, Any], seed: int) -> list[tuple[int, int, int]]:
    """(section, sentence, word) of each token, anchors with zeros: the document, then section by section, sentence by sentence."""
    rng = generator(CPU, seed, "document")

    def count(most: int) -> int:
        return int(torch.randint(most // 2, most + 1, (1,), generator=rng))

    found = [(0, 0, 0)]
    for section in range(1, count(settings["sections"]) + 1):
        found.append((section, 0, 0))
        for sentence in range(1, count(settings["sentences"]) + 1):
            found += [(section, sentence, word) for word in range(count(settings["words"]) + 1)]
    return found


def related(a: tuple[int, int, int], b: tuple[int, int, int]) -> bool:
    """Of one sentence; anchors of one section's sentences, or the section's own; sections and the document."""
    one_sentence = a[:2] == b[:2]
    one_section = a[0] == b[0] and a[2] == b[2] == 0
    return one_sentence or one_section or a[1:] == b[1:] == (0, 0)


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, Any]) -> Trial:
    s, tokens = claim.settings, document(claim.settings, seed)
    sizes = s["words"] + 1, s["sentences"] + 1, s["sections"] + 1
    address = torch.tensor([[w + sizes[0] * (t + sizes[1] * c) for c, t, w in tokens]])
    mixer = drawn(lambda: TreeAttention(s["dim"], heads=s["heads"], sizes=sizes), seed)
    x_BTD = normal(1, len(tokens), s["dim"], seed=seed)
    seen = reads(lambda x: mixer(x, Ctx(positions=address)), x_BTD, seed=seed) > 0
    wanted = torch.tensor([[related(a, b) for b in tokens] for a in tokens])
    share, broken = float(wanted.double().mean()), ""
    if not torch.equal(seen, wanted):
        t, u = (seen != wanted).nonzero()[0].tolist()
        broken = f"token {tokens[t]} {'reads' if seen[t, u] else 'does not read'} token {tokens[u]}"
    elif share > s["share"]:
        broken = f"{share:.2f} of all pairs are read; at most {s['share']}"
    at = torch.arange(len(tokens))
    width = math.ceil(share * len(tokens) / 2)
    window = (at[:, None] - at).abs() <= width
    also = {"tokens": float(len(tokens)), "share": share, "window_share": float(window.double().mean())}
    return Trial(seed, layers(wanted), layers(window), broken=broken, also=also)


def layers(reads_TT: Tensor) -> float:
    """Steps until all have heard of all."""
    heard, step = reads_TT, 1
    while not heard.all():
        heard, step = (heard.float() @ reads_TT.float()) > 0, step + 1
    return float(step)
