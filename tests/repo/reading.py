"""How the house rules read a repository: its modules as syntax trees, its files as text."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path


def sources(root: Path) -> Iterator[tuple[Path, ast.Module]]:
    """Every Python file of the package, parsed, with its path relative to `src/sequary`."""
    package = root / "src/sequary"
    for path in sorted(package.rglob("*.py")):
        yield path.relative_to(package), ast.parse(path.read_text(encoding="utf-8"), str(path))


def tracked(root: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each file under version control, or of each file where there is none; binary ones left out."""
    if (root / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True)
        names = [name for name in listed.stdout.split("\0") if name]
    else:
        names = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    for name in sorted(names):
        data = (root / name).read_bytes() if (root / name).is_file() else b"\0"
        if b"\0" not in data:
            yield name, data.decode("utf-8", errors="replace")


def catalogue(root: Path) -> dict[str, dict[str, object]]:
    lines = (root / "src/sequary/catalogue.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


def under_type_checking(tree: ast.Module) -> set[ast.AST]:
    guards = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test).endswith("TYPE_CHECKING")]
    return {inner for guard in guards for statement in guard.body for inner in ast.walk(statement)}


def imports(tree: ast.Module) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Line, module and names of each import, those inside functions too; those for the type checker alone left out."""
    skipped = under_type_checking(tree)
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, ()
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or ""), tuple(alias.name for alias in node.names)


def card(tree: ast.Module) -> dict[str, object]:
    """The literal keywords of `CARD = Card(…)`."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if ast.unparse(target) == "CARD":
                return {
                    k.arg: k.value.value for k in node.value.keywords if k.arg and isinstance(k.value, ast.Constant)
                }
    return {}
