"""What the tests of the three image generators share: tiny models in float64, images, and their stages."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from sequary.core.catalogue import load
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.mixers.attention.full import Attention
from sequary.models.tokenized import Tokenized
from sequary.train.loop import fit

CLASSES = 3
SMALL: dict[str, dict[str, int]] = {
    "var": {"model__prior__backbone__depth": 1},
    "rar": {"model__prior__backbone__depth": 1},
    "mar-diffusion-loss": {
        "model__prior__encoder__depth": 1,
        "model__prior__decoder__depth": 1,
        "model__prior__head__width": 16,
        "model__prior__head__calls": 5,
    },
}


class Images:
    """Twelve images of bars, as rows of a source."""

    def __init__(self, rows: int = 12) -> None:
        at = torch.arange(28)
        period = 4 + torch.arange(rows)[:, None, None] % CLASSES
        self.x = ((at[None, None, :] // period) % 2 * 2.0 - 1).expand(rows, 28, 28)[:, None]
        self.classes = torch.arange(rows) % CLASSES

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, rows: Tensor) -> Batch:
        return Batch(values=self.x[rows], cond=self.classes[rows])


def recipe(slug: str) -> Recipe:
    """Narrow and shallow, on the grid of the default."""
    found = load(slug).recipe
    assert found is not None
    small = found.but(dim=16, model__tokenizer__coder__width=8, **SMALL[slug])
    return small.bind({"channels": 1, "classes": CLASSES})


def model(slug: str) -> Tokenized:
    """In float64 and eval mode, every weight moved: what starts at zero hides nothing."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = recipe(slug).build().double().eval()
        with torch.no_grad():
            for p in made.parameters():
                p.add_(torch.randn_like(p), alpha=0.1)
    assert isinstance(made, Tokenized)
    return made


def batch(rows: int = 3) -> Batch:
    whole = Images().batch(torch.arange(rows))
    return dataclasses.replace(whole, values=whole.values.double())


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def trains(slug: str) -> None:
    """Four steps of each stage through the training loop move every parameter of what the stage names, and nothing else."""
    small = recipe(slug)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = small.build()
    for stage in small.stages:
        before = {n: p.clone() for n, p in made.named_parameters()}
        short = dataclasses.replace(
            stage, train=dataclasses.replace(stage.train, steps=4, batch=12, warmup=0.0, ema=None)
        )
        trained = fit(made, short, Images(), seed=0, progress=False)
        assert all(torch.tensor(loss).isfinite() for _, loss, _ in trained.curve)
        moved = {n for n, p in made.named_parameters() if not torch.equal(p, before[n])}
        mine = {n for n in before if n.startswith(f"{stage.learns}.") and n not in unseen(made)}
        moved -= unseen(made)
        assert moved == mine, f"stage {stage.name}: still {sorted(mine - moved)}, moved too {sorted(moved - mine)}"


def unseen(made: nn.Module) -> set[str]:
    """Biases of keys in plain attention: they add the same to all scores of a query, which the softmax does not see."""
    return {f"{n}.qkv.k.bias" for n, m in made.named_modules() if isinstance(m, Attention)}


def samples(slug: str) -> None:
    """Images of the right shape, finite, decided by the generator; another class gives another image."""
    decode, made = recipe(slug).decode, model(slug)
    assert decode is not None
    prompt = Batch(values=torch.zeros(2, 0), cond=torch.tensor([0, 1]))
    first, again = (decode(made, prompt, rng(5)).raw for _ in range(2))
    assert first.shape == (2, 1, 28, 28)
    assert first.isfinite().all()
    assert torch.equal(first, again)
    assert not torch.equal(first, decode(made, dataclasses.replace(prompt, cond=torch.tensor([2, 2])), rng(5)).raw)
