"""Selective copying: what the rows ask, and that the twin is Mamba with its selection held fixed."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sequary.claims import copying
from sequary.claims.experiments import claim_of
from sequary.core.card import Claim
from sequary.mixers.ssm.mamba import Mamba

TASK = {"tokens": 3, "length": 8, "symbols": 4}


def tiny() -> Claim:
    claim = claim_of("mamba")
    train = {**claim.settings["train"], "dim": 16, "stages__0__train__steps": 3, "stages__0__train__batch": 8}
    return claim_of("mamba", {**TASK, "train": train, "grid": {"stages__0__train__lr": (1e-2,)}})


def test_a_row_asks_for_its_data_in_their_order() -> None:
    rows = copying.scattered(50, 0, "test", **TASK)
    assert rows.values.shape == (50, 11)
    for row, target, asked in zip(rows.values, rows.target, rows.asked, strict=True):
        assert row[row > copying.MARK].tolist() == target[asked].tolist()
        assert asked.tolist() == [False] * 8 + [True] * 3
        assert (row[asked] == copying.MARK).all()
    places = (rows.values[:, :8] > copying.MARK).float().mean(0)
    assert places.min() > 0.1  # everywhere in the row
    assert set(rows.target[:, 8:].unique().tolist()) == {2, 3, 4, 5}


class Constant(nn.Module):
    """Says the same whatever it reads."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return self.value.expand(*x.shape[:-1], -1)


def test_the_twin_is_mamba_whose_selection_is_a_constant() -> None:
    torch.manual_seed(0)
    mamba, twin = Mamba(8, states=5, rank=2).double(), copying.Fixed(8, states=5).double()
    chosen = torch.randn(2 + 5 + 5, dtype=torch.float64)
    mamba.select = Constant(chosen)  # pyright: ignore[reportAttributeAccessIssue]
    with torch.no_grad():
        twin.load_state_dict(mamba.state_dict(), strict=False)
        twin.dt.copy_(mamba.dt(chosen[:2]))
        twin.B.copy_(chosen[2:7].expand_as(twin.B))
        twin.C.copy_(chosen[7:].expand_as(twin.C))
    x = torch.randn(3, 20, 8, dtype=torch.float64)
    assert (mamba(x) - twin(x)).abs().max() < 1e-12


def test_the_twins_kernel_does_not_look_at_the_input_and_mambas_does() -> None:
    torch.manual_seed(0)
    twin = copying.Fixed(8)
    matrix = twin.matrix(6)
    assert torch.allclose(matrix[:, 1:, 1:], matrix[:, :-1, :-1], rtol=1e-4, atol=1e-6)  # constant along its diagonals
    claim = claim_of("mamba")
    arms = copying.arms("mamba", claim)
    parts = {n: r.model.get("backbone").get("blocks")[0].get("parts")[0].cls for n, r in arms.items()}
    assert parts == {"system": Mamba, "baseline": copying.Fixed}


def test_the_arms_are_of_one_size() -> None:
    for changes in (None, claim_of("mamba").settings["live"]):
        claim = claim_of("mamba", changes)
        models = [r.bind({"vocab": copying.vocab(claim)}).build() for r in copying.arms("mamba", claim).values()]
        sizes = [sum(p.numel() for p in m.parameters()) for m in models]
        assert abs(sizes[0] / sizes[1] - 1) < 0.05


def test_a_tiny_trial_is_finite_and_repeats() -> None:
    claim = tiny()
    chosen = copying.tune("mamba", claim)
    one, two = (copying.trial("mamba", claim, 2, chosen) for _ in range(2))
    assert one == two
    assert one.floor == 1 / 4
    assert all(math.isfinite(x) and 0 <= x <= 1 for x in (one.system, one.baseline))
