from __future__ import annotations

import dataclasses
import gc
import logging
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from sequary.core.contracts import Model
from sequary.core.recipe import Stage, Train
from sequary.core.values import Batch, Loss
from sequary.train import seeds
from sequary.train.averaging import Average
from sequary.train.device import DeviceError, device
from sequary.train.evaluation import evaluate
from sequary.train.loop import fit
from sequary.train.optimiser import Optimiser
from sequary.train.progress import bar
from sequary.train.sampler import Sampler
from sequary.train.schedule import rate
from tests.train.tiny import STAGE, Denoise, Rows, Tiny, same, tiny, weights


def train(**changes: object) -> Stage:
    return dataclasses.replace(STAGE, train=dataclasses.replace(Train(steps=40, batch=8, lr=1e-2), **changes))


def test_it_learns_and_tells_what_it_cost() -> None:
    held = Rows(32, seed=1)
    done = fit(tiny(), train(steps=600, evaluate_every=200), Rows(64), held, seed=0)
    assert [step for step, _, _ in done.curve] == [200, 400, 600]
    last = done.curve[-1][2]
    assert last is not None
    assert last < 0.5 * held.x.square().var()  # what the best constant would leave
    assert done.steps == 600
    assert done.seconds > 0
    assert done.rows_per_second == pytest.approx(600 * 8 / done.seconds)
    assert done.memory_mb >= 0
    assert not any(m.training for m in done.model.modules())


def test_same_seed_same_bits_and_another_seed_others() -> None:
    a, b, c = (weights(fit(tiny(), STAGE, Rows(), Rows(11, seed=1), seed=s).model) for s in (4, 4, 5))
    assert same(a, b)
    assert not same(a, c)


def test_nothing_outside_is_changed() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    fit(tiny(), train(steps=5), Rows(), Rows(11), seed=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_how_often_it_evaluates_or_looks_changes_no_weight() -> None:
    a = fit(tiny(), train(evaluate_every=3), Rows(), Rows(11, seed=1), seed=0)
    b = fit(tiny(), train(evaluate_every=40), Rows(), None, seed=0)
    assert same(weights(a.model), weights(b.model))
    mean = math.fsum(loss * n for (_, loss, _), n in zip(a.curve, [3] * 13 + [1], strict=True)) / 40
    assert mean == pytest.approx(b.curve[0][1], rel=1e-6)


def test_a_part_learns_and_the_rest_stands_still() -> None:
    model = tiny()
    model.norm.bias.requires_grad_(False)  # frozen beforehand: stays so
    before, wanted = weights(model), {n: p.requires_grad for n, p in model.named_parameters()}
    fit(model, dataclasses.replace(train(), learns="heads.main"), Rows(), seed=0)
    after = weights(model)
    changed = {n for n in before if not torch.equal(before[n], after[n])}
    assert changed == {"heads.main.out.weight", "heads.main.out.bias"}  # running statistics of the norm included
    assert {n: p.requires_grad for n, p in model.named_parameters()} == wanted


@dataclasses.dataclass(frozen=True)
class Hungry(Denoise):
    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        held = torch.ones(64 * 2**18)  # 64 MB, given back at once
        del held
        return Denoise.__call__(self, model, batch, rng)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the high-water mark is reset on Linux only")
def test_memory_is_the_peak_that_was_added() -> None:
    earlier = torch.ones(300 * 2**18)  # an earlier, higher peak of the process does not hide it
    del earlier
    gc.collect()
    done = fit(tiny(), dataclasses.replace(train(steps=3), objective=Hungry()), Rows(), seed=0)
    # The 64 MB of a step, twice where the heap has a small block behind those of the step before.
    assert 60 < done.memory_mb < 150


def test_unknown_part_and_nothing_to_learn_are_named() -> None:
    with pytest.raises(ValueError, match="learns='haed': the model has no such part; it has embed, norm, heads"):
        fit(tiny(), dataclasses.replace(STAGE, learns="haed"), Rows(), seed=0)
    model = tiny()
    model.norm.requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter there requires a gradient"):
        fit(model, dataclasses.replace(STAGE, learns="norm"), Rows(), seed=0)


@dataclasses.dataclass(frozen=True)
class Drift(Denoise):
    """Validation gets worse and worse: in evaluation mode the loss is the distance of a weight from its start."""

    def __call__(self, model: Model, batch: Batch, rng: torch.Generator) -> Loss:
        assert isinstance(model, Tiny)
        bias = model.heads["main"].get_parameter("out.bias")
        return Loss((bias - 10).square().sum() if model.training else (bias - 0.05).square().sum())


def test_early_stopping_keeps_the_best() -> None:
    stage = Stage(
        objective=Drift(), train=Train(steps=100, batch=8, lr=0.01, schedule="constant", patience=3, evaluate_every=2)
    )
    model = tiny()
    with torch.no_grad():
        model.heads["main"].get_parameter("out.bias").zero_()
    done = fit(model, stage, Rows(), Rows(11), seed=0)
    held = [v for _, _, v in done.curve if v is not None]
    best = min(range(len(held)), key=held.__getitem__)
    assert done.best_step is not None
    assert done.best_step == done.curve[best][0] in (4, 6)
    assert done.steps == done.best_step + 2 * 3
    assert model.heads["main"].get_parameter("out.bias").item() == pytest.approx(0.05, abs=0.011)


def test_ema_is_what_is_evaluated_and_kept() -> None:
    done = fit(tiny(), train(ema=0.9, evaluate_every=40), Rows(), Rows(11, seed=1), seed=0)
    plain = fit(tiny(), train(evaluate_every=40), Rows(), Rows(11, seed=1), seed=0)
    assert not same(weights(done.model), weights(plain.model))
    again = evaluate(done.model, STAGE.objective, Rows(11, seed=1), batch=8, seed=0)
    assert again == done.curve[-1][2]


def test_ema_follows_its_equation() -> None:
    p = nn.Parameter(torch.tensor([1.0]))
    average = Average({"p": p}, decay=0.5)
    expected = 1.0
    for n in range(12):
        p.data = torch.tensor([float(n)])
        average.live[0] = p
        average.update(n)
        d = min(0.5, (1 + n) / (10 + n))
        expected = d * expected + (1 - d) * n
    assert average.mean[0].item() == pytest.approx(expected, rel=1e-6)
    with average.applied():
        assert p.item() == pytest.approx(expected, rel=1e-6)
    assert p.item() == 11


@pytest.mark.parametrize("clip", [None, 0.5])
def test_optimiser_is_adamw_with_clipping(clip: float | None) -> None:
    ours, theirs = tiny().double(), tiny().double()
    settings = Train(lr=0.1, weight_decay=0.3, betas=(0.8, 0.95), clip=clip)
    mine = Optimiser(dict(ours.named_parameters()), settings)
    matrices = [p for p in theirs.parameters() if p.dim() > 1]
    vectors = [p for p in theirs.parameters() if p.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": 0.3}, {"params": vectors, "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups, lr=0.1, betas=(0.8, 0.95), eps=1e-8)
    draw = torch.Generator().manual_seed(0)
    for n in range(6):
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            p.grad = torch.randn(p.shape, generator=draw, dtype=torch.float64) * (10 if n % 2 else 0.01)
            q.grad = p.grad.clone()
        if n == 3:  # a parameter that no gradient reaches this time
            ours.norm.weight.grad = theirs.norm.weight.grad = None
        if clip is not None:
            nn.utils.clip_grad_norm_(theirs.parameters(), clip)
        mine.step(torch.zeros(()), 0.1)
        reference.step()
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-7, msg=name)  # torch adds 1e-6 to the norm


def test_optimiser_takes_complex_parameters() -> None:
    draw = torch.Generator().manual_seed(0)
    ours = nn.Parameter(torch.randn(3, 3, generator=draw, dtype=torch.complex64))
    theirs = nn.Parameter(ours.detach().clone())
    mine = Optimiser({"a": ours}, Train(weight_decay=0.0, clip=None))
    reference = torch.optim.AdamW([theirs], lr=1e-2, weight_decay=0.0)
    for _ in range(3):
        ours.grad = torch.randn(3, 3, generator=draw, dtype=torch.complex64)
        theirs.grad = ours.grad.clone()
        mine.step(torch.zeros(()), 1e-2)
        reference.step()
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.5, 1, 1, 1, 1, 1]),
        ("linear", [0.5, 1, 1, 0.75, 0.5, 0.25]),
        ("cosine", [0.5, 1, 1, 0.853553, 0.5, 0.146447]),
        ("halving", [0.5, 1, 1, 1 / 4, 1 / 32, 1 / 128]),
    ],
)
def test_schedules(schedule: str, expected: list[float]) -> None:
    settings = dataclasses.replace(Train(lr=1.0, warmup=1 / 3), schedule=schedule)
    assert [rate(settings, k, 6) for k in range(6)] == pytest.approx(expected, abs=1e-6)


def test_sampler_sees_every_row_equally_often_and_needs_only_the_step() -> None:
    sampler = Sampler(10, 4, seed=1)
    rows = [sampler.rows(k) for k in range(5)]  # 20 rows: two epochs
    flat = torch.cat(rows)
    assert all(len(r) == 4 for r in rows)
    assert flat[:10].sort().values.tolist() == flat[10:].sort().values.tolist() == list(range(10))
    assert flat[:10].tolist() != flat[10:].tolist()
    assert torch.equal(Sampler(10, 4, seed=1).rows(3), rows[3])
    assert not torch.equal(Sampler(10, 4, seed=2).rows(3), rows[3])
    assert len(Sampler(3, 4, seed=1).rows(0)) == 3
    with pytest.raises(ValueError, match="no rows"):
        Sampler(0, 4, seed=1)


def test_validation_weighs_rows_and_not_batches() -> None:
    model = tiny().eval()
    whole = evaluate(model, Denoise(0.0), Rows(11), batch=11, seed=0)
    assert evaluate(model, Denoise(0.0), Rows(11), batch=4, seed=0) == pytest.approx(whole, rel=1e-6)
    with pytest.raises(ValueError, match="validation=None"):
        evaluate(model, Denoise(0.0), Rows(0), batch=4, seed=0)


def test_seeds_of_different_purposes_differ() -> None:
    drawn = {seeds.derive(s, *p) for s in range(50) for p in (("a",), ("b",), ("a", 1))}
    assert len(drawn) == 150
    assert all(0 <= d < 2**63 for d in drawn)


def test_devices() -> None:
    assert device("cpu").type == "cpu"
    assert device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(DeviceError, match="no device is called 'gpu'; use cpu, cuda or auto"):
        device("gpu")
    with pytest.raises(DeviceError, match=r"device 'cuda:99' does not exist here: torch .* use cpu or auto"):
        device("cuda:99")
    with pytest.raises(DeviceError, match="use cpu, cuda or auto"):
        fit(tiny(), STAGE, Rows(), seed=0, device="meta")


def test_the_bar_is_quiet_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    fit(tiny(), train(steps=3), Rows(), seed=0)
    assert capsys.readouterr() == ("", "")
    with bar("train", 10, show=True) as tell:
        tell(10, 0.5)
    assert "10/10" in capsys.readouterr().err


def test_a_log_handler_is_not_needed(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="sequary"):
        fit(tiny(), train(steps=3), Rows(), seed=0)
    assert caplog.records == []
