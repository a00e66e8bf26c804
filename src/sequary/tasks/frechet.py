"""How near made images are to real ones: the Fréchet distance of the features of a small classifier that is trained on the spot.

d² = ‖μ_a − μ_b‖² + tr(Σ_a + Σ_b − 2 (Σ_a^½ Σ_b Σ_a^½)^½) (Heusel et al., arXiv 1706.08500, section 4), with the features of the
classifier's last hidden layer where the paper has Inception's: distances compare within one classifier only.
"""

from __future__ import annotations

import dataclasses
import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequary.core.contracts import Model
from sequary.core.ctx import Tape
from sequary.core.part import part
from sequary.core.place import Place
from sequary.core.recipe import Stage, Train
from sequary.core.values import Batch, Output
from sequary.data.errors import DataError
from sequary.data.images import ImageRows
from sequary.heads.categorical import Categorical
from sequary.objectives.classify import Classify
from sequary.train.loop import fit
from sequary.train.seeds import forked

ROWS = 250
"""Images at a time."""
STAGE = Stage(name="classifier", objective=Classify(), train=Train(steps=800, batch=64, lr=2e-3, warmup=0.05))


class SmallClassifier(Model):
    """[B, C, H, W] -> features [B, 64] -> logits: three convolutions that halve the side, 3 × 3 means, one hidden layer."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        widths = (channels, 16, 32, 64)
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in itertools.pairwise(widths))
        self.hidden = nn.Linear(64 * 9, 64)
        self.heads = nn.ModuleDict({"main": part(Categorical, vocab=classes, bias=True).build(Place(64))})

    def forward(self, batch: Batch, tape: Tape | None = None, rng: torch.Generator | None = None) -> Output:
        x = batch.values
        for conv in self.convs:
            x = F.avg_pool2d(F.silu(conv(x)), 2, ceil_mode=True)
        return Output(F.silu(self.hidden(F.adaptive_avg_pool2d(x, 3).flatten(1))))


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """`rows`, the class as what is to be told."""

    rows: ImageRows

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, rows: Tensor) -> Batch:
        batch = self.rows.batch(rows)
        return dataclasses.replace(batch, target=batch.cond, cond=None)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Yardstick:
    """The classifier and its `accuracy` on images that it did not learn from."""

    model: SmallClassifier
    accuracy: float

    @torch.no_grad()
    def features(self, values_BCHW: Tensor) -> Tensor:
        """[B, 64] float64 of values in [−1, 1]."""
        return torch.cat([self.model(Batch(values=v)).hidden for v in values_BCHW.split(ROWS)]).double()

    @torch.no_grad()
    def told(self, values_BCHW: Tensor) -> Tensor:
        """[B] the likeliest classes."""
        return self.model.head(self.features(values_BCHW).float()).argmax(-1)


def yardstick(learnt: ImageRows, held: ImageRows, *, seed: int = 0, stage: Stage = STAGE) -> Yardstick:
    """Trained on `learnt`, its accuracy on `held`."""
    if learnt.labels is None or held.labels is None:
        raise DataError("the images have no labels, so no classifier can be trained", mend="add an array 'labels'")
    with forked(torch.device("cpu")):
        torch.manual_seed(seed)
        model = SmallClassifier(learnt.pixels.shape[1], int(max(learnt.labels.max(), held.labels.max())) + 1)
        fit(model, stage, Labelled(learnt), seed=seed, progress=False)
    found = Yardstick(model, 0.0)
    right = found.told(held.batch(torch.arange(len(held))).values) == held.labels
    return dataclasses.replace(found, accuracy=float(right.double().mean()))


def frechet(a_ND: Tensor, b_MD: Tensor) -> float:
    """d² between two sets of features, in float64. More rows than features are needed for a covariance of full rank."""
    a, b = a_ND.double(), b_MD.double()
    cov_a, cov_b = torch.cov(a.T), torch.cov(b.T)
    values, vectors = torch.linalg.eigh(cov_a)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    both = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    apart = (a.mean(0) - b.mean(0)).square().sum()
    return max(0.0, float(apart + cov_a.trace() + cov_b.trace() - 2 * both))
