"""The house rules: each takes the root of a repository and returns what breaks it, one line a finding, with the mend.

`tests/repo/test_rules.py` runs each over this repository, and over a small tree that breaks it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

from tests.repo.direction import one_way
from tests.repo.reading import card, catalogue, imports, sources, tracked

Rule = Callable[[Path], list[str]]

PICKLES = {"pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib"}
FORBIDDEN_CALLS = {
    "eval": "data never runs code",
    "exec": "data never runs code",
    "hasattr": "declare the capability in the contract",
    "torch.load": "weights are safetensors",
    "torch.save": "weights are safetensors",
}
# One letter of each stands in brackets, so that this file does not find itself.
ELSEWHERE = re.compile(
    r"/[w]ork/|/[r]oot/|/[h]ome/\w|/[o]pt/\w|@ [f]ile:"
    r"|[p]ypi\.org|[p]ythonhosted|[d]ownload\.pytorch|[r]egistry\.npm|[d]eb\.debian"
)
POSTPONED = re.compile(r"\bTOD[O]\b|\bFIXM[E]\b|\bXX[X]\b")


def empty_inits(root: Path) -> list[str]:
    """Every `__init__.py` but the top one is empty."""
    return [
        f"{path} is not empty: move its content to a module of its own"
        for path, tree in sources(root)
        if path.name == "__init__.py" and len(path.parts) > 1 and tree.body
    ]


def reasoned(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef, limit: int) -> bool:
    lines = (ast.get_docstring(node) or "").splitlines()
    return any(re.match(rf"Longer than {limit} lines because \S+", line) for line in lines)


def sizes(root: Path) -> list[str]:
    """A recipe has at most 80 lines, another file 200, a function 40, unless it says why; `core/` under 800 of code in all."""
    found: list[str] = []
    core = 0
    for path, tree in sources(root):
        lines = len((root / "src/sequary" / path).read_text(encoding="utf-8").splitlines())
        core += code_lines(tree) if path.parts[0] == "core" else 0
        limit = 80 if path.parts[0] == "systems" else 200
        if lines > limit and not reasoned(tree, limit):
            found.append(f"{path} has {lines} lines: split it, or begin a line of its docstring {why(limit)}")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                length = node.end_lineno - node.lineno + 1
                if length > 40 and not reasoned(node, 40):
                    found.append(f"{path}:{node.lineno} {node.name} has {length} lines: split it, or say {why(40)}")
    if core >= 800:
        found.append(f"core/ has {core} lines of code, under 800 are allowed: move what is not a contract out of it")
    return found


def code_lines(tree: ast.Module) -> int:
    """Lines that hold code: no blank line, no comment, no docstring."""
    words = {n for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}
    silent = words | {inner for word in words for inner in ast.walk(word)}
    held = (n for n in ast.walk(tree) if isinstance(n, ast.stmt | ast.expr | ast.arg) and n not in silent)
    return len({line for n in held for line in (n.lineno, n.end_lineno)})


def why(limit: int) -> str:
    return f"`Longer than {limit} lines because …`"


def constructors(root: Path) -> list[str]:
    """No constructor takes `**kwargs`: a misspelt argument must fail where it was written."""
    return [
        f"{path}:{node.lineno} {node.name} takes **{node.args.kwarg.arg}: name the arguments"
        for path, tree in sources(root)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name in {"__init__", "__new__"} and node.args.kwarg
    ]


def forbidden(root: Path) -> list[str]:
    """Nothing unpickles, runs text as code, or asks an object what it happens to have."""
    found: list[str] = []
    for path, tree in sources(root):
        for line, module, names in imports(tree):
            reached = {f"{module}.{name}" for name in names}
            if module.split(".")[0] in PICKLES or reached & FORBIDDEN_CALLS.keys():
                found.append(f"{path}:{line} imports {module}: weights are safetensors, everything else JSON")
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            if name in FORBIDDEN_CALLS:
                found.append(f"{path}:{node.lineno} calls {name}: {FORBIDDEN_CALLS[name]}")
            if any(k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in node.keywords):
                found.append(f"{path}:{node.lineno} allows a pickle: weights are safetensors, everything else JSON")
    return found


def quiet_imports(root: Path) -> list[str]:
    """Importing does nothing: no bare call at the top of a module (`ops` may declare operators, `cli` commands)."""
    return [
        f"{path}:{node.lineno} runs on import: {ast.unparse(node)[:60]}"
        for path, tree in sources(root)
        if path.parts[0] not in {"ops", "cli"} and path.name != "__main__.py"
        for node in tree.body
        if isinstance(node, ast.For | ast.While | ast.With)
        or (isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant))
    ]


def one_paper_one_file(root: Path) -> list[str]:
    """Slug and file name determine each other, and a card agrees with the catalogue."""
    rows, seen, found = catalogue(root), dict[str, Path](), list[str]()
    for path, tree in sources(root):
        if path.parts[0] != "systems" or path.name == "__init__.py":
            continue
        reference = path.parts[1] == "reference"
        slug = path.stem.removeprefix("_").replace("_", "-")
        name = ("_" if slug[:1].isdigit() else "") + slug.replace("-", "_") + ".py"
        if path.name != name or len(path.parts) != 3:
            found.append(f"{path} should be systems/<theme>/{name}")
        if slug in seen:
            found.append(f"{path} and {seen[slug]} are both {slug}")
        seen[slug] = path
        if (slug in rows) == reference:
            found.append(
                f"{path}: {slug} is {'' if slug in rows else 'not '}in the catalogue; reference/ is for the others"
            )
        expected = {"id": slug, **({"kind": "reference"} if reference else rows.get(slug, {}))}
        written = card(tree)
        if "id" not in written:
            found.append(f"{path} has no CARD with a literal id")
        found += [
            f"{path}: the card's {key} is {written[key]!r}, expected {expected[key]!r}"
            for key in ("id", "kind", "title")
            if key in written and key in expected and written[key] != expected[key]
        ]
    return found


def here_only(root: Path) -> list[str]:
    """No file names a machine's paths or a package registry's host."""
    return grep(root, ELSEWHERE, "a path or host of one machine")


def nothing_postponed(root: Path) -> list[str]:
    """What is not done is an issue, not a comment."""
    return grep(root, POSTPONED, "postponed work")


def grep(root: Path, pattern: re.Pattern[str], meaning: str) -> list[str]:
    return [
        f"{name}:{number} {meaning}: {match.group()}"
        for name, text in tracked(root)
        for number, line in enumerate(text.splitlines(), 1)
        if (match := pattern.search(line))
    ]


def locked(root: Path) -> list[str]:
    """The lock is a list of `name==version`: no hashes, hosts, local files or local builds."""
    lines = (root / "requirements-dev.lock").read_text(encoding="utf-8").splitlines()
    found = [
        f"requirements-dev.lock:{number} is not name==version: {line}"
        for number, line in enumerate(lines, 1)
        if not line.startswith("#") and not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)
    ]
    return found + ([] if "torch==2.13.0" in lines else ["requirements-dev.lock does not pin torch==2.13.0"])


RULES: tuple[Rule, ...] = (
    empty_inits,
    sizes,
    one_way,
    constructors,
    forbidden,
    quiet_imports,
    one_paper_one_file,
    here_only,
    nothing_postponed,
    locked,
)
