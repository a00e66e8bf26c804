"""Learnt on few channels, tested on more: the next segment of waves that travel along a line of sensors.

u_c[n + 1] = u_{c−1}[n] + u_{c+1}[n] − u_c[n − 1] + noise, 0 beyond both ends, for each of `patch` values of a segment by itself: what a
sensor says next stands at its neighbours and in its own past, whatever the number of sensors. Windows of `segments` segments are learnt
with the numbers of channels of `learnt`, and tested with those of `tested`, which no arm has seen. Arms of the same widths: the system's
block; the same with full attention and learned codes of channels and steps (those of further channels stay as they were drawn); the same
inside each channel alone. Metric `nmse`: squared error of the last segment over its variance. The better of the two is the baseline.
The floor says 0, the mean, and has 1: it counts where an arm has not passed it on the layouts that it learnt.

Settings: these, `dim`, `depth`, `heads`, `steps`, `batch`, `grid` (learning rates, chosen for each arm on windows of the learnt layouts).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sequary.backbones.stack import Stack
from sequary.claims.exact import CPU
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.attention.full import Attention
from sequary.train.seeds import derive, forked, generator

TESTED = 256
"""Windows of each layout."""


def waves(count: int, channels: int, settings: Mapping[str, Any], rng: torch.Generator) -> Tensor:
    """[count, segments + 1, channels, patch], each window of variance 1."""
    shape = (count, channels, settings["patch"])
    u = [torch.randn(shape, generator=rng), torch.randn(shape, generator=rng)]
    for _ in range(2 * settings["segments"]):
        beside = nn.functional.pad(u[-1], (0, 0, 1, 1))
        noise = settings["noise"] * torch.randn(shape, generator=rng)
        u.append(beside[:, :-2] + beside[:, 2:] - u[-2] + noise)
    window = torch.stack(u[-settings["segments"] - 1 :], 1)
    return window / window.std((1, 2, 3), keepdim=True)


class Net(nn.Module):
    """Segments [B, N, C, P] -> the next of each. `codes`: of steps and channels; `alone`: each channel a row of its own."""

    def __init__(
        self, settings: Mapping[str, Any], block: Part[Mixer], *, codes: bool = False, alone: bool = False
    ) -> None:
        super().__init__()
        dim, patch, self.alone = settings["dim"], settings["patch"], alone
        self.enter, self.leave = nn.Linear(patch, dim), nn.Linear(dim, patch)
        self.backbone = part(Stack, depth=settings["depth"], blocks=(block,)).build(Place(dim))
        self.steps = nn.Parameter(torch.randn(settings["segments"], 1, dim)) if codes else None
        self.channels = nn.Parameter(torch.randn(max(settings["tested"]), dim)) if codes else None

    def forward(self, x_BNCP: Tensor) -> Tensor:
        x_BNCD = self.enter(x_BNCP)
        if self.alone:
            rows = x_BNCD.transpose(1, 2)
            return self.leave(self.backbone(rows.flatten(0, 1))[0].x.view_as(rows).transpose(1, 2))
        batch, steps, channels = x_BNCD.shape[:3]
        if self.steps is not None and self.channels is not None:
            x_BNCD = x_BNCD + self.steps + self.channels[:channels]
        known = torch.arange(steps).repeat_interleave(channels).expand(batch, -1)
        ctx = Ctx(grid=(steps, channels), order=known)
        return self.leave(self.backbone(x_BNCD.flatten(1, 2), ctx)[0].x.view_as(x_BNCD))


def arms(slug: str, settings: Mapping[str, Any], seed: int) -> dict[str, Net]:
    """Fresh nets. The block's attention is the first part inside its one branch."""
    recipe = load(slug).recipe
    assert recipe is not None
    (block,) = recipe.model.get("backbone").get("blocks")
    heads = settings["heads"]

    def having(attention: Part[Mixer]) -> Part[Mixer]:
        (branch,) = block.get("parts")
        return block.but(parts=(branch.but(parts=(attention, *branch.get("parts")[1:])),))

    with forked(CPU):
        torch.manual_seed(derive(seed, "weights"))
        return {
            "system": Net(settings, having(block.get("parts")[0].get("parts")[0].but(heads=heads))),
            "coded": Net(settings, having(part(Attention, heads=heads, bias=False)), codes=True),
            "alone": Net(settings, having(part(CausalAttention, heads=heads)), alone=True),
        }


def learnt(net: Net, settings: Mapping[str, Any], rate: float, seed: int) -> Net:
    """Each batch has one of the layouts; every segment but the first is predicted."""
    rng = generator(CPU, seed, "layouts", "train")
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    steps = settings["steps"]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)
    for _ in range(steps):
        which = int(torch.randint(len(settings["learnt"]), (), generator=rng))
        x = waves(settings["batch"], settings["learnt"][which], settings, rng)
        optimiser.zero_grad()
        (net(x[:, :-1]) - x[:, 1:]).square().mean().backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return net.eval()


@torch.no_grad()
def error(net: Net, settings: Mapping[str, Any], layouts: str, seed: int) -> float:
    rng, found = generator(CPU, seed, "layouts", layouts), list[float]()
    for channels in settings[layouts]:
        x = waves(TESTED, channels, settings, rng)
        found.append(float((net(x[:, :-1])[:, -1] - x[:, -1]).square().mean() / x[:, -1].square().mean()))
    return sum(found) / len(found)


def tune(slug: str, claim: Claim) -> dict[str, float]:
    s, best = claim.settings, dict[str, float]()
    rates: tuple[float, ...] = s["grid"]
    for name in arms(slug, s, 0):
        if len(rates) == 1:
            best[name] = rates[0]
            continue
        scores = [error(learnt(arms(slug, s, 0)[name], s, rate, 0), s, "learnt", 0) for rate in rates]
        best[name] = rates[scores.index(min(scores))]
    return best


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, float]) -> Trial:
    s, found, also = claim.settings, dict[str, float](), dict[str, float]()
    for name, net in arms(slug, s, seed).items():
        made = learnt(net, s, chosen[name], seed)
        found[name], also[f"{name}_learnt"] = error(made, s, "tested", seed), error(made, s, "learnt", seed)
        also[f"parameters_{name}"] = float(sum(p.numel() for p in made.parameters()))
    also |= {name: found[name] for name in ("coded", "alone")}
    dull = any(also[f"{name}_learnt"] >= 1.0 for name in found)
    return Trial(seed, found["system"], min(found["coded"], found["alone"]), 1.0 if dull else None, also=also)
