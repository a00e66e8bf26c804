from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sequary.core.contracts import Model
from sequary.core.recipe import Stage, Train
from sequary.core.values import Batch, Loss
from sequary.train import checkpoint, loop
from sequary.train.hooks import Curriculum, Hook, MeanTeacher, Progressive, SharpnessAware, Teacher
from sequary.train.loop import CHECKPOINT, fit
from tests.train.tiny import Denoise, Rows, Tiny, same, tiny, weights

STAGE = Stage(objective=Denoise(0.0), train=Train(steps=11, batch=8, lr=1e-2, evaluate_every=4))


@dataclasses.dataclass(frozen=True)
class Annealed:
    """Tells its progress through its loss term; frozen, as objectives are."""

    seen: list[tuple[bool, float]] = dataclasses.field(default_factory=list, compare=False)
    progress: float = 1.0

    def at(self, progress: float) -> Annealed:
        return dataclasses.replace(self, progress=progress)

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        self.seen.append((model.training, self.progress))
        return Denoise(0.0)(model, batch, rng)


def test_an_objective_that_anneals_is_told_how_far_training_is() -> None:
    assert isinstance(Annealed(), Progressive)
    assert not isinstance(Denoise(), Progressive)
    objective = Annealed()
    fit(tiny(), dataclasses.replace(STAGE, objective=objective), Rows(), Rows(8), seed=0)
    assert [p for training, p in objective.seen if training] == pytest.approx([k / 10 for k in range(11)])
    assert [p for training, p in objective.seen if not training] == [1.0] * 3  # after steps 4, 8, 11


def test_curriculum_changes_the_batch_by_progress() -> None:
    lengths: list[int] = []

    def shorter(batch: Batch, progress: float) -> Batch:
        keep = 1 + round(3 * progress)
        lengths.append(keep)
        assert batch.target is not None
        return dataclasses.replace(batch, values=batch.values[:, :keep], target=batch.target[:, :keep])

    changed = fit(tiny(), STAGE, Rows(), seed=0, hooks=[Curriculum(shorter)])
    plain = fit(tiny(), STAGE, Rows(), seed=0)
    assert lengths == sorted(lengths)
    assert (lengths[0], lengths[-1]) == (1, 4)
    assert not same(weights(changed.model), weights(plain.model))


def outputs(teacher: Model, batch: Batch) -> Batch:
    return dataclasses.replace(batch, target=teacher.head(teacher(batch).hidden))


def test_a_teacher_gives_the_targets_and_stays_as_it_was() -> None:
    teacher, student = tiny(7).eval(), tiny(1)
    before = weights(teacher)
    stage = dataclasses.replace(STAGE, train=Train(steps=400, batch=16, lr=3e-2))
    batch = Rows(64).batch(torch.arange(64))

    @torch.no_grad()
    def gap() -> float:
        ours, theirs = outputs(student.eval(), batch).target, outputs(teacher, batch).target
        assert ours is not None
        assert theirs is not None
        return (ours - theirs).square().mean().item()

    first = gap()
    fit(student, stage, Rows(64), seed=0, hooks=[Teacher(teacher, outputs)])
    assert gap() < 0.1 * first
    assert same(weights(teacher), before)
    assert all(p.grad is None for p in teacher.parameters())


def test_a_mean_teacher_follows_and_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(folder: Path | None, rows: Rows) -> tuple[Tiny, MeanTeacher]:
        hook, model = MeanTeacher(outputs, decay=0.9), tiny()
        fit(model, STAGE, rows, seed=0, folder=folder, hooks=[hook])
        return model, hook

    model, hook = run(None, Rows())
    assert hook.model is not None
    mean, last = hook.model.get_parameter("embed.0.weight"), model.get_parameter("embed.0.weight")
    assert not torch.equal(mean, last)

    monkeypatch.setattr(loop, "SAVE_SECONDS", 0)

    def stop(call: int) -> None:
        if call == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Rows(touch=stop))
    assert "hook0/embed.0.weight" in checkpoint.load(tmp_path / CHECKPOINT).tensors
    again, resumed = run(tmp_path, Rows())
    assert same(weights(again), weights(model))
    assert resumed.model is not None
    assert torch.equal(resumed.model.get_parameter("embed.0.weight"), mean)


def test_sharpness_aware_steps_follow_their_equation() -> None:
    """One step of plain descent in disguise: the gradient left on the parameters is that at w + rho · g / ‖g‖."""
    p = nn.Parameter(torch.tensor([3.0, -4.0], dtype=torch.float64))
    calls: list[Tensor] = []

    def compute() -> Tensor:
        p.grad = None
        calls.append(p.detach().clone())
        loss = p.pow(4).sum() / 4  # gradient p³
        loss.backward()
        return loss.detach()

    loss = SharpnessAware(rho=0.5).gradients([p], compute)
    g = torch.tensor([27.0, -64.0], dtype=torch.float64)
    up = torch.tensor([3.0, -4.0], dtype=torch.float64) + 0.5 * g / g.norm()
    assert loss.item() == pytest.approx((81 + 256) / 4)
    torch.testing.assert_close(calls[1], up)
    assert p.grad is not None
    torch.testing.assert_close(p.grad, up.pow(3))
    assert p.tolist() == [3.0, -4.0]


def test_hooks_nest_in_the_order_given() -> None:
    told: list[str] = []

    @dataclasses.dataclass
    class Named(Hook):
        name: str

        def batch(self, batch: Batch, progress: float) -> Batch:
            told.append(f"batch {self.name}")
            return batch

        def gradients(self, parameters: object, compute: object) -> Tensor:
            told.append(f"gradients {self.name}")
            return super().gradients(parameters, compute)  # pyright: ignore[reportArgumentType]

        def updated(self, model: Model, progress: float) -> None:
            told.append(f"updated {self.name}")

    stage = dataclasses.replace(STAGE, train=Train(steps=1, batch=8))
    fit(tiny(), stage, Rows(), seed=0, hooks=[Named("a"), Named("b")])
    assert told == ["batch a", "batch b", "gradients b", "gradients a", "updated a", "updated b"]


def test_two_passes_in_the_loop_make_one_step() -> None:
    rows = Rows()
    sharp = fit(tiny(), STAGE, rows, seed=0, hooks=[SharpnessAware()])
    assert rows.calls == sharp.steps == 11
    assert not same(weights(sharp.model), weights(fit(tiny(), STAGE, Rows(), seed=0).model))
