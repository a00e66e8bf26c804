"""The one training loop."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter

from sequary.core.contracts import Model
from sequary.core.recipe import Recipe, Stage
from sequary.ops.forms import form
from sequary.train import checkpoint, manifest, resume
from sequary.train.budget import choose
from sequary.train.device import device as device_named
from sequary.train.diverged import Diverged
from sequary.train.hooks import Hook
from sequary.train.learning import learning
from sequary.train.manifest import Chosen
from sequary.train.memory import Peak
from sequary.train.progress import Tell, bar
from sequary.train.reuse import kept
from sequary.train.run import Point, Run
from sequary.train.seeds import forked
from sequary.train.source import Source

CHECKPOINT = "checkpoint.safetensors"
SAVE_SECONDS = 30.0
"""Between checkpoints. When they are written does not influence the result."""
LOOK = 10
"""Steps between looks at the losses; each look waits for the device."""
NO_FUSED_NORM = "Mismatch dtype between input and weight"
"""torch, of an RMS norm in bf16 whose weight stays in float32, as under autocast: it says that a slower kernel serves, which
the timing that chose bf16 has counted in. Nobody can act on it."""

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The model (the one that came in, in evaluation mode) and how it came about."""

    model: Model
    curve: tuple[Point, ...]
    """(step, mean training loss since the last point, validation loss or None)."""
    chosen: Chosen
    steps: int
    best_step: int | None
    """Of the weights that were kept, where patience is set."""
    seconds: float
    """Of training, evaluation and checkpoints included, over all resumes."""
    rows_per_second: float
    memory_mb: float
    """Peak memory that this process added."""
    notes: tuple[str, ...] = ()
    """Why a resumed run may not be bit-identical to one never stopped."""


def fit(
    model: Model,
    stage: Stage,
    source: Source,
    validation: Source | None = None,
    *,
    seed: int,
    folder: Path | None = None,
    hooks: Sequence[Hook] = (),
    device: str = "cpu",
    progress: bool | None = None,
    seconds: float | None = None,
    chosen: Chosen | None = None,
    recipe: Recipe | None = None,
) -> Trained:
    """Train what `stage` names of `model`, in place.

    With a `folder`, manifest and checkpoints live there: the same call again continues a run that was killed, and returns at
    once from one that ended. Same seed, manifest and thread count: bit-identical, killed or not. torch's own generator is
    seeded inside and left as it was.

    Longer than 40 lines because half of it says what its twelve arguments mean.

    Without patience the last weights stay (their average, with ema); with it the best by validation.

    Args:
        progress: a bar on stderr; None: only on a terminal.
        seconds: a budget of wall time: steps are what a short timing allows; None: those of the stage.
        chosen: what an earlier run measured, replayed; None: measured here. A manifest in the folder goes before both.
        recipe: for the record in the manifest.

    Raises:
        Diverged: NaN or infinity; the last good checkpoint is kept.
        DeviceError, ManifestError, CheckpointError, OutputError: one line with the mend.
    """
    where = device_named(device)
    model.to(where)
    peak = Peak(where)
    with forked(where), learning(model, stage.learns), _slower_norms(), kept():
        old = None if folder is None else manifest.read(folder)
        if old is not None:
            chosen = old.chosen
        elif chosen is None:
            chosen = choose(model, stage, source, validation, seed=seed, hooks=hooks, seconds=seconds)
        run = Run(model, stage, source, seed=seed, device=where, hooks=hooks, chosen=chosen)
        keeper, notes = None, []
        if folder is not None:
            now = manifest.describe(stage, source, chosen, seed=seed, device=where, recipe=recipe)
            notes = _frozen(folder, old, now)
            keeper = Keeper(folder / CHECKPOINT, (old or now).digest)
            keeper.resume(run)
        with form(chosen.form), bar(stage.name, run.steps, show=progress) as tell:
            _train(run, validation, keeper, tell)
        run.finish()
    return Trained(
        model=model,
        curve=tuple(run.curve),
        chosen=chosen,
        steps=run.step,
        best_step=run.best.step if run.best.weights else None,
        seconds=run.seconds,
        rows_per_second=run.step * run.sampler.batch / max(run.seconds, 1e-9),
        memory_mb=peak.added(),
        notes=tuple(notes),
    )


@contextlib.contextmanager
def _slower_norms() -> Iterator[None]:
    """Without the warning that an RMS norm takes a slower kernel."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=NO_FUSED_NORM, category=UserWarning)
        yield


def _frozen(folder: Path, old: manifest.Manifest | None, now: manifest.Manifest) -> list[str]:
    """Write the manifest of a new run; for an old one make sure that it is the same, and say what may differ."""
    if old is None:
        manifest.write(folder, now)
        return []
    manifest.same_run(folder, old, now)
    notes = old.differs(now)
    for note in notes:
        log.warning(note)
    return notes


def _train(run: Run, validation: Source | None, keeper: Keeper | None, tell: Tell) -> None:
    began = perf_counter() - run.seconds
    try:
        while not run.done:
            run.advance()
            if run.step % LOOK == 0:
                tell(run.step, run.settle())
            if run.step % run.train.evaluate_every == 0 or run.step == run.steps:
                run.judge(validation)
            run.seconds = perf_counter() - began
            if keeper is not None and (run.done or keeper.due()):
                run.settle()
                keeper.save(run)
    except Diverged as error:
        error.saved = None if keeper is None else keeper.latest
        raise


class Keeper:
    """Writes the checkpoints of one run, and finds the last one."""

    def __init__(self, path: Path, digest: str) -> None:
        self.path, self.digest = path, digest
        self.last = perf_counter()
        self.latest: str | None = None

    def due(self) -> bool:
        return perf_counter() - self.last >= SAVE_SECONDS

    def save(self, run: Run) -> None:
        checkpoint.save(self.path, resume.sections(run), {"run": self.digest, **resume.facts(run)})
        self.last = perf_counter()
        self.latest = f"{self.path} (step {run.step})"

    def resume(self, run: Run) -> None:
        """Continue from the last checkpoint, if there is one."""
        for half in self.path.parent.glob(".*.tmp"):  # of a process killed while writing
            half.unlink()
        if not self.path.exists():
            return
        found = checkpoint.load(self.path)
        if found.facts["run"] != self.digest:
            raise found.error("belongs to another run")
        resume.restore(run, found)
        self.latest = f"{self.path} (step {run.step})"
