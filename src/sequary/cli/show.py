"""`sequary show`: one system from its file, without importing it: idea, card, claim and verdict, parts, how to use it."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

from sequary.cli.systems import row
from sequary.core.card import Card
from sequary.core.catalogue import PACKAGE, UnknownSystem, aliases, card, files, nearest

PARTS = (
    "mixers",
    "blocks",
    "backbones",
    "heads",
    "tokens",
    "models",
    "condition",
    "orders",
    "noise",
    "objectives",
    "decode",
    "edit",
    "probe",
)


def command(system: str, *, cite: bool = False, as_json: bool = False) -> int:
    name = aliases().get(system, system)
    if system.endswith(".py"):
        raise UnknownSystem(
            f"{system} is a file of your own, and shown as it is; `sequary check {system}` runs its laws"
        )
    if name not in files():
        raise UnknownSystem(nearest(system))
    own, tree = card(name), ast.parse(files()[name].read_text(encoding="utf-8"))
    if cite:
        entry = bibtex(own)
        print(json.dumps({"id": name, "bibtex": entry}, ensure_ascii=False) if as_json else entry)
        return 0
    about = row(name) | {
        "idea": ast.get_docstring(tree),
        "arxiv": own.arxiv,
        "year": own.year,
        "notes": list(own.notes),
        "statement": statement(tree),
        "parts": parts(tree),
        "use": use(name, own, tree),
    }
    print(json.dumps(about, ensure_ascii=False) if as_json else text(about))
    return 0


def bibtex(own: Card) -> str:
    """An entry with what the card confirms; authors are left to the reader's own library."""
    fields = {
        "title": f"{{{own.title}}}",
        "year": own.year,
        "eprint": own.arxiv,
        "archiveprefix": "arXiv" if own.arxiv else None,
    }
    lines = [f"  {key} = {{{value}}}," for key, value in fields.items() if value is not None]
    return "\n".join([f"@misc{{{own.id},", *lines, "}"])


def statement(tree: ast.Module) -> str | None:
    """The text of the literal CLAIM."""
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and ast.unparse(node.targets[0]) == "CLAIM"
            and isinstance(node.value, ast.Call)
        ):
            words = [*node.value.args, *(k.value for k in node.value.keywords if k.arg == "text")]
            return ast.literal_eval(words[0]) if words else None
    return None


def parts(tree: ast.Module) -> list[dict[str, str]]:
    """The classes that the file takes from part folders, in reading order: the mixer first, then what holds it."""
    found: list[tuple[int, str, str]] = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        folder = node.module.removeprefix("sequary.").partition(".")[0]
        if folder in PARTS:
            path = PACKAGE.joinpath(*node.module.split(".")[1:]).with_suffix(".py")
            found += [(PARTS.index(folder), path.relative_to(PACKAGE).as_posix(), alias.name) for alias in node.names]
    return [{"name": name, "file": file, "idea": first_line(PACKAGE / file)} for _, file, name in sorted(found)]


def first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


USES = (
    ({"forecaster"}, ("fit {id} DATA.csv --horizon 24", "compare DATA.csv --horizon 24 --systems {id}")),
    ({"LoRAP", "HeadPruning"}, ("edit MODEL --with {id} --keep 0.5 --data TEXT.txt --out SMALLER",)),
    ({"HiddenAttention"}, ("probe MODEL {id} --data TEXT.txt",)),
    ({"RankCollapse"}, ("study {id}", "probe MODEL {id} --data TEXT.txt")),
    (
        {"HiddenValues"},
        ("fit {id} DATA.csv", "impute {id}-model DATA.csv --out FILLED.csv", "compare DATA.csv --task impute"),
    ),
    ({"Degradation"}, ("fit {id} PAST.csv", "detect {id}-model NEW.csv --out SCORES.csv")),
    ({"MaskedValues"}, ("fit {id} DATA.csv --label COLUMN", "classify {id}-model NEW.csv --out LABELS.csv")),
    (
        {"Tokenized", "CodeByCode"},
        ("fit {id} IMAGES.npz", "generate {id}-model --n 64 --out grid.png", "compare IMAGES.npz --systems {id}"),
    ),
    (
        {"language_model", "LanguageModel", "Megabyte"},
        ("fit {id} TEXT.txt", "generate {id}-model --n 500", "compare TEXT.txt --systems {id}"),
    ),
)
"""What a recipe's file imports -> the commands that take the system; the first that fits."""


def use(name: str, own: Card, tree: ast.Module) -> list[str]:
    """Commands and code that work with this system as it stands."""
    taken = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    if own.kind in {"forecasting", "reference"} and "timeseries" in own.modalities:
        taken |= {"forecaster"}
    lines = next((lines for names, lines in USES if names & taken), ())
    return [*(f"sequary {line.format(id=name)}" for line in lines), f'sequary.system("{name}").recipe']


def text(about: dict[str, Any]) -> str:
    paper = ", ".join(str(v) for v in (about["year"], about["arxiv"] and f"arXiv {about['arxiv']}") if v)
    lines = [
        about["title"],
        f"{about['id']} · {about['kind']} · {', '.join(about['modalities'])}" + (f" · {paper}" if paper else ""),
    ]
    lines += ["", about["idea"] or "", ""]
    lines += [
        f"Claim: {about['statement']}" if about["statement"] else "No claim stated.",
        f"Verdict: {verdict(about)}",
    ]
    if about["laws"]:
        laws = about["laws"]
        lines.append(
            f"Laws: {laws['passed']} passed, {laws['failed']} failed"
            + "".join(f"\n  exempt: {e}" for e in laws["exempt"])
        )
    lines += [f"Parity: {p['oracle']}, error {p['error']:.1e}" for p in about["parity"] or []]
    if about["stale"]:
        lines.append(f"Recorded before its sources changed: {', '.join(about['stale'])}")
    lines += [f"Note: {note}" for note in about["notes"]]
    lines += ["", "Parts, in reading order:", *(f"  {p['file']}  {p['name']}: {p['idea']}" for p in about["parts"])]
    lines += [f"  {about['file']}  the recipe", "", "Use it:", *(f"  {line}" for line in about["use"])]
    return "\n".join(lines)


def verdict(about: dict[str, Any]) -> str:
    claim = about["claim"]
    if not claim or not claim.get("verdict"):
        return "not judged yet"
    return f"{claim['verdict']} ({claim['seeds']} seeds, measured {claim['measured']})"
