"""In-context regression on features that no prompt shows: y = wᵀ φ(x), φ one unknown network for all prompts, w drawn for each.

A prompt holds `examples` pairs x ∈ R^`inputs`, y; φ(x) = leaky(A leaky(B x)) has `features` entries, its weights drawn by the seed; y of
unit variance over prompts. Tokens are x and y in turn; each y is predicted at its x from the pairs before. Arms with the three blocks of
the recipe's parameters: the system (first, loop, last); the three once, one after another; the three looped together, what enters added
at each turn. Loss: squared error over all pairs, where there is a loop the mean over its `last` turns. Metric `nmse`: of the last pair.
The better of the two others is the baseline; the floor says 0. Beside: ridge regression on x itself; the system with one turn, and with
half of its turns. Settings: these, `dim`, `heads`, `loops`, `steps`, `batch`, `grid` (learning rates, chosen for each arm on other
prompts).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.blocks.chain import Chain
from sequary.blocks.looped import Looped
from sequary.claims.exact import CPU
from sequary.claims.judging import Trial
from sequary.core.card import Claim
from sequary.core.catalogue import load
from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx, Tape
from sequary.core.part import Part, part
from sequary.core.place import Place
from sequary.train.seeds import derive, forked, generator

TESTED = 1000
RIDGE = 0.01


class Task:
    """Prompts of one φ."""

    def __init__(self, settings: Mapping[str, Any], seed: int) -> None:
        self.settings = settings
        rng = generator(CPU, seed, "in context", "features")
        inputs, features = settings["inputs"], settings["features"]
        self.first = torch.randn(inputs, 4 * features, generator=rng) / inputs**0.5
        self.second = torch.randn(4 * features, features, generator=rng) / (4 * features) ** 0.5
        self.size = self.phi(torch.randn(4096, inputs, generator=rng)).square().sum(-1).mean().sqrt()

    def phi(self, x: Tensor) -> Tensor:
        return F.leaky_relu(F.leaky_relu(x @ self.first, 0.1) @ self.second, 0.1)

    def prompts(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """x [count, n, inputs] and y [count, n]."""
        s = self.settings
        x = torch.randn(count, s["examples"], s["inputs"], generator=rng)
        w = torch.randn(count, s["features"], 1, generator=rng)
        y = (self.phi(x) @ w)[..., 0] / self.size
        return x, y + s["noise"] * torch.randn(y.shape, generator=rng)


class Net(nn.Module):
    """Prompts -> [turns, B, n]: what is said of each y, after each turn of the loop where there is one, else once.

    `blocks` before the loop, the loop, and after it; the latter act on every turn's output.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        before: tuple[Part[Mixer], ...],
        loop: Part[Mixer] | None,
        after: tuple[Part[Mixer], ...],
    ) -> None:
        super().__init__()
        dim, here = settings["dim"], Place(settings["dim"])
        self.enter, self.norm, self.leave = nn.Linear(settings["inputs"] + 1, dim), nn.RMSNorm(dim), nn.Linear(dim, 1)
        self.before, self.after = (nn.ModuleList(b.build(here) for b in blocks) for blocks in (before, after))
        self.loop = None if loop is None else Looped(dim, block=loop, loops=settings["loops"])

    def forward(self, x_BnI: Tensor, y_Bn: Tensor) -> Tensor:
        x, y = F.pad(x_BnI, (0, 1)), F.pad(y_Bn[..., None], (x_BnI.shape[2], 0))
        h = self.enter(torch.stack((x, y), 2).flatten(1, 2))
        for block in self.before:
            h = block(h)
        turns = [h]
        if self.loop is not None:
            tape = Tape("turn")
            self.loop(h, Ctx(tape=tape))
            turns = tape.entries["turn"]
        said = torch.stack(turns).flatten(0, 1)
        for block in self.after:
            said = block(said)
        return self.leave(self.norm(said))[:, ::2, 0].unflatten(0, (len(turns), -1))


def arms(slug: str, settings: Mapping[str, Any], seed: int) -> dict[str, Net]:
    """Fresh nets of three blocks each."""
    recipe = load(slug).recipe
    assert recipe is not None
    block = recipe.model.get("backbone").get("blocks")[0].but(parts__0__heads=settings["heads"])
    with forked(CPU):
        torch.manual_seed(derive(seed, "weights"))
        return {
            "system": Net(settings, (block,), block, (block,)),
            "once": Net(settings, (block, block, block), None, ()),
            "all_looped": Net(settings, (), part(Chain, parts=(block, block, block)), ()),
        }


def learnt(net: Net, task: Task, rate: float, seed: int) -> Net:
    s, rng = task.settings, generator(CPU, seed, "in context", "train")
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=s["steps"], pct_start=0.1)
    for _ in range(s["steps"]):
        x, y = task.prompts(s["batch"], rng)
        optimiser.zero_grad()
        (net(x, y)[-s["last"] :] - y).square().mean().backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return net.eval()


@torch.no_grad()
def errors(net: Net, task: Task, purpose: str, seed: int) -> Tensor:
    """[turns] of the last pair, over the variance of y."""
    x, y = task.prompts(TESTED, generator(CPU, seed, "in context", purpose))
    return (net(x, y)[:, :, -1] - y[:, -1]).square().mean(1) / y[:, -1].square().mean()


def ridge(task: Task, seed: int) -> float:
    x, y = task.prompts(TESTED, generator(CPU, seed, "in context", "test"))
    seen, asked = x[:, :-1], x[:, -1:]
    gram = seen.mT @ seen + RIDGE * torch.eye(x.shape[2])
    said = (asked @ torch.linalg.solve(gram, seen.mT @ y[:, :-1, None]))[:, 0, 0]
    return float((said - y[:, -1]).square().mean() / y[:, -1].square().mean())


def tune(slug: str, claim: Claim) -> dict[str, float]:
    s, task, best = claim.settings, Task(claim.settings, 0), dict[str, float]()
    rates: tuple[float, ...] = s["grid"]
    for name in arms(slug, s, 0):
        if len(rates) == 1:
            best[name] = rates[0]
            continue
        tried = [learnt(arms(slug, s, 0)[name], task, rate, 0) for rate in rates]
        scores = [float(errors(net, task, "choose", 0)[-1]) for net in tried]
        best[name] = rates[scores.index(min(scores))]
    return best


def trial(slug: str, claim: Claim, seed: int, chosen: Mapping[str, float]) -> Trial:
    s, task, also = claim.settings, Task(claim.settings, seed), dict[str, float]()
    found: dict[str, Tensor] = {}
    for name, net in arms(slug, s, seed).items():
        found[name] = errors(learnt(net, task, chosen[name], seed), task, "test", seed)
        also[f"parameters_{name}"] = float(sum(p.numel() for p in net.parameters()))
    last = {name: float(error[-1]) for name, error in found.items()}
    turns = found["system"]
    also |= {"once": last["once"], "all_looped": last["all_looped"], "ridge": ridge(task, seed)}
    also |= {"one_turn": float(turns[0]), "half_the_turns": float(turns[(len(turns) - 1) // 2])}
    return Trial(seed, last["system"], min(last["once"], last["all_looped"]), 1.0, also=also)
