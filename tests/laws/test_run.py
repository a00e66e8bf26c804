"""Running the laws over classes, parts, systems and files of one's own; exemptions; the tenth."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from sequary.core.catalogue import UnknownSystem
from sequary.core.ctx import Ctx
from sequary.core.part import part
from sequary.laws.law import distance
from sequary.laws.members import contract_of, subject
from sequary.laws.run import LAWS, check, in_tenth, laws_of, run, run_all, subjects_of
from sequary.mixers.attention.cache import Cache
from sequary.mixers.attention.causal import CausalAttention
from sequary.mixers.mlp.swiglu import SwiGLU
from sequary.objectives.tokens import NextToken
from tests.laws.bugs_sequence import Dense

OWN = '''
"""A part of my own."""
from torch import Tensor, nn
from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx


class Shift(Mixer):
    """y_t = W x_{t+1}: looks ahead, and says that it does not."""

    causal = True
    cost = 1.0

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.w = nn.Linear(dim, dim)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.w(x_BTD.roll(-1, 1))
'''


def test_a_file_of_ones_own_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "my_module.py"
    file.write_text(OWN, encoding="utf-8")
    verdicts = check(str(file), slow=False)
    assert {v.member for v in verdicts} == {"my_module:Shift"}
    assert {v.law for v in verdicts if v.status == "failed"} >= {"causality"}
    assert {v.law for v in verdicts if v.status == "passed"} >= {"shape", "gradients", "dtype", "rowwise"}


def test_a_file_without_parts_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "empty.py"
    file.write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="defines no part: derive a class"):
        check(str(file))
    with pytest.raises(UnknownSystem, match="no file"):
        check(str(tmp_path / "absent.py"))


def test_a_part_is_checked_with_its_own_arguments() -> None:
    (one,) = subjects_of(part(CausalAttention, heads=2, base=None))
    assert dict(one.tiny) == {"heads": 2, "base": None}
    assert {v.status for v in check(part(SwiGLU, multiple=4), slow=False)} == {"passed"}


def test_a_system_is_checked_as_recipe_and_by_its_parts() -> None:
    names = [one.name for one in subjects_of("dlinear")]
    assert names[0] == "systems:ltsf-linear"
    assert "heads.linear_series:TrendRemainder" in names
    assert "objectives.forecast:Forecast" in names


class Excused(Dense):
    """Mixes rows, and has a reason."""

    exempt = {"rowwise": "batch statistics are the idea of it"}

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.w(x_BTD - x_BTD.mean(0, keepdim=True))


class ExcusedInVain(Dense):
    """Keeps the law that it is exempt from."""

    exempt = {"rowwise": "batch statistics are the idea of it"}


class ExcusedFromNothing(Dense):
    """Names a law that does not exist."""

    exempt = {"rowise": "batch statistics are the idea of it"}


class ExcusedFromWhatDoesNotConcernIt(Dense):
    """Declares nothing that its law asks for."""

    exempt = {"rewind": "steps of one token are the idea of it"}


def test_a_law_that_does_not_concern_a_member_needs_no_exemption() -> None:
    one = subject(ExcusedFromWhatDoesNotConcernIt)
    (law,) = [law for law in laws_of(one) if law.name == "rewind"]
    verdict = run(law, one)
    assert verdict is not None
    assert verdict.status == "failed"
    assert "does not concern it as it is declared: remove the exemption" in verdict.reason
    assert run(law, subject(Dense)) is None


def test_exemptions_are_strict() -> None:
    def of(cls: type) -> tuple[str, str]:
        (verdict,) = [v for v in run_all([subject(cls)], slow=False) if v.law.startswith("row")][:1]
        return verdict.status, verdict.reason

    assert of(Excused) == ("exempt", "batch statistics are the idea of it")
    assert of(ExcusedInVain)[0] == "failed"
    assert "remove the exemption" in of(ExcusedInVain)[1]
    assert of(ExcusedFromNothing) == ("failed", "exempt from 'rowise', which is no law of a mixer")


def test_contracts_are_known_by_what_a_class_is() -> None:
    assert contract_of(CausalAttention) == "mixer"
    assert contract_of(NextToken) == "objective"
    assert contract_of(Cache) is None
    with pytest.raises(TypeError, match="fits no contract"):
        subject(Cache)


def test_each_slow_law_has_its_turn_once_in_ten() -> None:
    one = subject(CausalAttention)
    for law in laws_of(one):
        assert sum(in_tenth(law, one, tenth) for tenth in range(10)) == 1


def test_names_of_laws_are_theirs_alone() -> None:
    for one in (subject(CausalAttention), subject(NextToken)):
        names = [law.name for law in laws_of(one)]
        assert len(names) == len(set(names))
    assert all(law.catches for law in LAWS)


def test_distance_is_relative_and_strict_about_nan() -> None:
    ref = torch.tensor([0.0, 10.0])
    assert distance(ref + 1e-3, ref) == pytest.approx(1e-4, rel=1e-3)
    assert distance(torch.tensor([float("nan"), 0.0]), ref) == float("inf")
    assert distance(ref[:1], ref) == float("inf")


def test_every_law_is_in_the_docs() -> None:
    words = (Path(__file__).parents[2] / "docs/laws.md").read_text(encoding="utf-8")
    assert [law.name for law in LAWS if f"| `{law.name}` | {law.catches} |" not in words] == []
