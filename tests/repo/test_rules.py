"""The house rules hold here, and each catches its seeded violation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repo import rules
from tests.repo.rules import RULES, Rule

ROOT = Path(__file__).parents[2]
LOCK = "requirements-dev.lock"
ROWS = """{"id": "gla", "title": "Gated", "kind": "mixer"}
{"id": "6bit-diffusion", "title": "6Bit", "kind": "compression"}
"""
LONG_FUNCTION = "def f():\n" + "    x = 1\n" * 40


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_holds_here(rule: Rule) -> None:
    assert rule(ROOT) == []


SEEDED: list[tuple[Rule, dict[str, str], str]] = [
    (rules.empty_inits, {"ops/__init__.py": "import torch\n"}, "is not empty"),
    (rules.sizes, {"mixers/a.py": "x = 1\n" * 201}, "has 201 lines"),
    (rules.sizes, {"systems/t/gla.py": "x = 1\n" * 81}, "has 81 lines"),
    (rules.sizes, {"systems/t/gla.py": '"""Longer than 200 lines because big."""\n' + "x = 1\n" * 81}, "has 82 lines"),
    (
        rules.sizes,
        {"mixers/a.py": '"""Idea.\n\nLonger than 200 lines because\n"""\n' + "x = 1\n" * 201},
        "has 205 lines",
    ),
    (rules.sizes, {"mixers/a.py": LONG_FUNCTION}, "f has 41 lines"),
    (rules.sizes, {f"core/{i}.py": "x = 1\n" * 200 for i in range(4)}, "core/ has 800 lines of code"),
    (rules.one_way, {"core/a.py": "import sequary.ops.scan\n"}, "core imports ops"),
    (rules.one_way, {"mixers/a.py": "from sequary.builders import language_model\n"}, "mixers imports builders"),
    (rules.one_way, {"ops/a.py": "def f():\n    from sequary import mixers\n"}, "ops imports mixers"),
    (rules.one_way, {"train/a.py": "from sequary import ops, load\n"}, "imports the top module"),
    (rules.one_way, {"train/a.py": "import sequary\n"}, "imports the top module"),
    (rules.one_way, {"ops/a.py": "from .b import x\n"}, "relative import"),
    (rules.one_way, {"utils/a.py": "x = 1\n"}, "utils has no level"),
    (
        rules.one_way,
        {"ops/a.py": "from sequary.ops import b\n", "ops/b.py": "from sequary.ops.a import x\n"},
        "a circle of imports",
    ),
    (rules.constructors, {"mixers/a.py": "class A:\n    def __init__(self, dim, **kw): ...\n"}, "takes **kw"),
    (rules.forbidden, {"ops/a.py": "import pickle\n"}, "imports pickle"),
    (rules.forbidden, {"ops/a.py": "from torch import load\n"}, "imports torch"),
    (rules.forbidden, {"ops/a.py": "w = torch.load('w.pt')\n"}, "calls torch.load"),
    (rules.forbidden, {"ops/a.py": "w = np.load('w.npy', allow_pickle=True)\n"}, "allows a pickle"),
    (rules.forbidden, {"ops/a.py": "y = eval('1')\n"}, "calls eval"),
    (rules.forbidden, {"ops/a.py": "exec('y = 1')\n"}, "calls exec"),
    (rules.forbidden, {"ops/a.py": "y = hasattr(x, 'step')\n"}, "calls hasattr"),
    (rules.quiet_imports, {"mixers/a.py": "print('hello')\n"}, "runs on import"),
    (rules.quiet_imports, {"mixers/a.py": "for name in names:\n    register(name)\n"}, "runs on import"),
    (rules.one_paper_one_file, {"systems/t/unheard.py": "CARD = Card(id='unheard')\n"}, "not in the catalogue"),
    (
        rules.one_paper_one_file,
        {"systems/t/6bit_diffusion.py": "CARD = Card(id='6bit-diffusion')\n"},
        "should be systems",
    ),
    (rules.one_paper_one_file, {"systems/gla.py": "CARD = Card(id='gla')\n"}, "should be systems"),
    (rules.one_paper_one_file, {"systems/reference/gla.py": "CARD = Card(id='gla')\n"}, "is in the catalogue"),
    (rules.one_paper_one_file, {"systems/t/gla.py": "CARD = Card(id='glas')\n"}, "card's id is 'glas'"),
    (rules.one_paper_one_file, {"systems/t/gla.py": "CARD = Card(id='gla', kind='head')\n"}, "card's kind is 'head'"),
    (rules.one_paper_one_file, {"systems/t/gla.py": "RECIPE = 1\n"}, "no CARD"),
    (
        rules.one_paper_one_file,
        {f"systems/{theme}/gla.py": "CARD = Card(id='gla')\n" for theme in ("a", "b")},
        "are both gla",
    ),
    (rules.here_only, {"ops/a.py": "PATH = '/" + "home/someone'\n"}, "a path or host"),
    (rules.here_only, {"data/a.json": '"https://py' + 'pi.org/simple"\n'}, "a path or host"),
    (rules.nothing_postponed, {"ops/a.py": "# TO" + "DO: later\n"}, "postponed work"),
]


@pytest.mark.parametrize(("rule", "files", "message"), SEEDED)
def test_rule_catches_its_seeded_violation(rule: Rule, files: dict[str, str], message: str, tmp_path: Path) -> None:
    write(tmp_path / "src/sequary", {"catalogue.jsonl": ROWS, **files})
    found = rule(tmp_path)
    assert len(found) == 1, found
    assert message in found[0]


@pytest.mark.parametrize(
    "line", ["numpy", "numpy>=2", "torch==2.13.0+cpu", "torch @ fi" + "le:///w/t.whl", "numpy==2.4.6 --hash=sha256:0"]
)
def test_locked_catches_a_line_that_pins_nothing_or_names_a_place(line: str, tmp_path: Path) -> None:
    write(tmp_path, {LOCK: f"torch==2.13.0\n{line}\n"})
    assert rules.locked(tmp_path) == [f"{LOCK}:2 is not name==version: {line}"]


def test_locked_catches_another_torch(tmp_path: Path) -> None:
    write(tmp_path, {LOCK: "torch==2.12.0\n"})
    assert rules.locked(tmp_path) == [f"{LOCK} does not pin torch==2.13.0"]


ALLOWED = {
    "__init__.py": "import sequary.cli.main\n",  # the top module offers names from anywhere, lazily
    "cli/main.py": "import sequary\nfrom sequary.compare import report\napp.add(report)\n",
    "core/part.py": "import torch\nx = model.eval()\n",
    "mixers/__init__.py": "",
    "mixers/a.py": "import typing as t\nif t.TYPE_CHECKING:\n    import sequary.train.loop\nimport sequary.ops.scan\n",
    "ops/scan.py": '"""Idea.\n\nLonger than 200 lines because of the table.\n"""\n' + "x = 1\n" * 200,
    "ops/long.py": 'def f():\n    """Longer than 40 lines because it is one sum."""\n' + "    x = 1\n" * 40,
    "systems/t/_6bit_diffusion.py": "CARD = Card(id='6bit-diffusion', kind='compression', title='6' 'Bit')\n",
    "systems/reference/lstm.py": "CARD: Card = Card(id='lstm', kind='reference')\n",
    "catalogue.jsonl": ROWS,
}


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule is not rules.locked], ids=lambda rule: rule.__name__)
def test_rule_allows_what_it_should(rule: Rule, tmp_path: Path) -> None:
    write(tmp_path / "src/sequary", ALLOWED)
    assert rule(tmp_path) == []
