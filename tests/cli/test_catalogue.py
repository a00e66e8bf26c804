"""`systems`, `show` and `check` as they are typed, and what importing costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import sequary
from sequary.cli.main import main
from sequary.core.catalogue import PACKAGE, aliases, files, rows

GOLDENS = Path(__file__).parents[1] / "parity" / "goldens"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(name="run")
def _run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        status = main(words)
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def listed(run: Run, *words: str) -> list[dict[str, object]]:
    status, out, _ = run("systems", *words, "--json")
    assert status == 0
    return json.loads(out)


def test_the_whole_catalogue_as_json(run: Run) -> None:
    found = listed(run, "--all")
    assert len(found) == 461
    assert [r["id"] for r in found] == sorted(rows())
    for r in found:
        assert {"id", "title", "kind", "modalities", "file", "laws", "parity", "claim"} <= r.keys()
        assert isinstance(r["modalities"], list)
        if r["id"] not in files():
            assert (r["file"], r["laws"], r["parity"], r["claim"]) == (None,) * 4
        else:
            assert (PACKAGE / str(r["file"])).is_file()


def test_recorded_results_have_the_documented_keys(run: Run) -> None:
    for r in listed(run):
        laws, parity, claim = r["laws"], r["parity"], r["claim"]
        assert laws is None or (isinstance(laws, dict) and laws.keys() == {"passed", "failed", "exempt"})
        assert parity is None or all(p.keys() == {"oracle", "error"} for p in parity)  # pyright: ignore[reportGeneralTypeIssues]
        assert claim is None or {"text", "verdict", "numbers", "seeds", "measured"} <= claim.keys()  # pyright: ignore[reportAttributeAccessIssue]


def test_built_systems_and_filters(run: Run) -> None:
    assert {str(r["id"]) for r in listed(run)} == set(files())
    mixers = listed(run, "--all", "--kind", "mixer")
    assert {r["kind"] for r in mixers} == {"mixer"}
    both = listed(run, "--all", "--kind", "mixer", "--kind", "backbone")
    assert {r["kind"] for r in both} == {"mixer", "backbone"}
    assert len(both) > len(mixers)
    series = listed(run, "--modality", "timeseries")
    assert "patchtst" in {r["id"] for r in series}
    assert all("timeseries" in r["modalities"] for r in series)  # pyright: ignore[reportOperatorIssue]
    assert [r["id"] for r in listed(run, "--has", "nlinear")] == ["ltsf-linear"]  # an alias
    assert listed(run, "--has", "no such word") == []


def test_the_list_as_text(run: Run) -> None:
    status, out, err = run("systems")
    assert status == 0
    assert len(out.splitlines()) == len(files())
    assert any(line.startswith("gla ") and "Gated Linear Attention" in line for line in out.splitlines())
    assert err == f"{len(files())} systems, {len(files())} built\n"
    status, out, err = run("systems", "--has", "no such word")
    assert (status, out) == (0, "")
    assert "`sequary systems --all` lists the whole catalogue" in err


def test_show_says_idea_claim_parts_and_use(run: Run) -> None:
    status, out, _ = run("show", "gla")
    assert status == 0
    for word in (
        "arXiv 2312.06635",
        "S_t = ",
        "Claim: ",
        "Verdict: ",
        "mixers/linear/gla.py",
        "sequary fit gla TEXT.txt",
    ):
        assert word in out
    assert out.index("mixers/linear/gla.py") < out.index("systems/recurrence/gla.py")


def test_show_as_json_and_by_alias(run: Run) -> None:
    about = json.loads(run("show", "dlinear", "--json")[1])
    assert about["id"] == "ltsf-linear"
    assert about["aliases"] == [alias for alias, slug in aliases().items() if slug == "ltsf-linear"]
    assert all((PACKAGE / part["file"]).is_file() for part in about["parts"])


@pytest.mark.parametrize("slug", sorted(files()))
def test_every_built_system_can_be_shown_and_cited(run: Run, slug: str) -> None:
    about = json.loads(run("show", slug, "--json")[1])
    assert about["idea"]
    assert about["use"]
    status, out, _ = run("show", slug, "--cite")
    assert status == 0
    assert out.startswith(f"@misc{{{slug},\n  title = {{{{")
    assert out.count("{") == out.count("}")


def test_a_citation_as_json(run: Run) -> None:
    status, out, _ = run("show", "dlinear", "--cite", "--json")
    assert (status, json.loads(out)) == (
        0,
        {"id": "ltsf-linear", "bibtex": run("show", "dlinear", "--cite")[1].rstrip()},
    )


def test_only_models_of_the_next_byte_are_offered_for_text(run: Run) -> None:
    offered = {slug: json.loads(run("show", slug, "--json")[1])["use"] for slug in files()}
    texts = {slug for slug, use in offered.items() if any("TEXT.txt" in line for line in use)}
    assert {"gpt", "gla", "mamba", "fnetar", "megabyte"} <= texts
    assert not {"linformer", "deep-encoder-shallow-decoder", "saits"} & texts


def test_what_is_not_built_is_said_to_be(run: Run) -> None:
    missing = next(slug for slug in rows() if slug not in files())
    for command in ("show", "check"):
        status, _, err = run(command, missing)
        assert status == 2
        assert f"{missing} is in the catalogue but not built yet; `sequary systems` lists what is" in err


OWN = '''
"""A mixer of one's own."""
from torch import Tensor, nn
from sequary.core.contracts import Mixer
from sequary.core.ctx import Ctx


class Mine(Mixer):
    """y = W x: a token at a time."""

    causal = True
    cost = 1.0

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.map = nn.Linear(dim, dim)

    def forward(self, x_BTD: Tensor, ctx: Ctx = Ctx()) -> Tensor:
        return self.map(x_BTD){leak}
'''


def test_a_part_of_ones_own_passes_the_laws(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(OWN.format(leak=""))
    status, out, _ = run("check", str(path))
    assert status == 0, out
    assert out.startswith("mine:Mine\n")
    assert "  ok      causality" in out
    assert out.splitlines()[-1].endswith(" passed, 0 failed, 0 exempt")


def test_a_part_of_ones_own_that_sees_the_future_fails(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(OWN.format(leak=" + 0.001 * x_BTD.flip(1)"))
    status, out, _ = run("check", str(path), "--json")
    assert status == 1
    found = json.loads(out)
    assert found["laws"]["failed"] >= 1
    assert "causality" in {v["law"] for v in found["verdicts"] if v["status"] == "failed"}


def test_a_system_is_checked_with_its_parts(run: Run) -> None:
    status, out, _ = run("check", "dlinear")
    assert status == 0
    assert out.startswith("systems:ltsf-linear\n  ok ")
    assert "heads.linear_series:TrendRemainder" in out


def test_goldens_are_replayed(run: Run) -> None:
    status, out, _ = run("check", "gla", "--goldens", str(GOLDENS))
    assert status == 0
    assert len(out.splitlines()) == len(list((GOLDENS / "gla").glob("*.json")))
    assert all("greatest error" in line for line in out.splitlines())


@pytest.fixture(name="cases")
def _cases(tmp_path: Path) -> Path:
    (tmp_path / "gla").mkdir()
    for path in (GOLDENS / "gla").glob("a1.*"):
        (tmp_path / "gla" / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_a_golden_that_is_off_fails(run: Run, cases: Path) -> None:
    file = cases / "gla" / "a1.safetensors"
    tensors = load_file(file)
    save_file(tensors | {"out.o": tensors["out.o"] * (1 + 1e-7)}, file)
    status, out, _ = run("check", "gla", "--goldens", str(cases))
    assert status == 1
    assert out.startswith("a1: greatest error ")
    assert out.endswith("at out.o  FAILED\n")
    status, out, _ = run("check", "gla", "--goldens", str(cases), "--json")
    assert (status, json.loads(out)["cases"][0]["passed"]) == (1, False)


def test_a_golden_that_is_declined_does_not_fail(run: Run, cases: Path) -> None:
    file = cases / "gla" / "a1.json"
    layer = json.loads((GOLDENS / "gla" / "a2.json").read_text())
    layer["arguments"] |= {"gate_fn": "bias_gelu"}
    file.write_text(json.dumps(layer))
    (cases / "gla" / "a1.safetensors").write_bytes((GOLDENS / "gla" / "a2.safetensors").read_bytes())
    status, out, _ = run("check", "gla", "--goldens", str(cases))
    assert status == 0
    assert out.startswith("a1: declined, ")
    assert "gate_fn" in out


def test_a_case_that_cannot_be_replayed_fails_and_the_others_go_on(run: Run, cases: Path) -> None:
    (cases / "gla" / "a0.json").write_text("{}")
    (cases / "gla" / "a0.safetensors").write_bytes((cases / "gla" / "a1.safetensors").read_bytes())
    status, out, _ = run("check", "gla", "--goldens", str(cases))
    assert status == 1
    assert out.splitlines()[0] == "a0: FAILED, KeyError: 'class'"
    assert out.splitlines()[1].startswith("a1: greatest error")
    found = json.loads(run("check", "gla", "--goldens", str(cases), "--json")[1], parse_constant=pytest.fail)
    assert [c["error"] is None for c in found["cases"]] == [True, False]


def test_folders_without_cases(run: Run, tmp_path: Path) -> None:
    status, _, err = run("check", "gla", "--goldens", str(tmp_path))
    assert (status, err.count("\n")) == (2, 1)
    assert "no such folder; --goldens names the folder that holds one folder a system" in err
    (tmp_path / "gla").mkdir()
    status, _, err = run("check", "gla", "--goldens", str(tmp_path))
    assert (status, err.count("\n")) == (2, 1)
    assert "no case there (NAME.json beside NAME.safetensors)" in err


@pytest.mark.parametrize("flags", [["--claim"], ["--record"], ["--goldens", "."]])
def test_what_is_for_systems_of_the_package_only(run: Run, tmp_path: Path, flags: list[str]) -> None:
    (tmp_path / "mine.py").write_text(OWN.format(leak=""))
    status, _, err = run("check", str(tmp_path / "mine.py"), *flags)
    assert status == 2
    assert f"mine.py is a file of your own; {flags[0]} is for systems of the package" in err


def python(code: str) -> str:
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return found.stdout.strip()


def test_importing_sequary_and_listing_systems_do_not_import_torch() -> None:
    heavy = "print([n for n in ('torch', 'numpy', 'polars', 'sklearn', 'matplotlib') if n in sys.modules])"
    assert python(f"import sys, sequary; {heavy}") == "[]"
    code = f"import sys; from sequary.cli.main import main; main(['systems', '--all']); main(['show', 'gla']); {heavy}"
    assert python(code).splitlines()[-1] == "[]"


def test_compare_is_the_function_whatever_was_imported_before() -> None:
    from sequary.compare import options

    with pytest.raises(options.BadArgument, match="horizon=0"):
        sequary.compare("no.csv", horizon=0)


def test_the_version(run: Run) -> None:
    assert run("--version") == (0, f"sequary {sequary.__version__}\n", "")
