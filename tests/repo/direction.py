"""The house rule of imports: they point one way."""

from __future__ import annotations

import graphlib
from pathlib import Path

from tests.repo.reading import imports, sources

# Imports point from a later line to an earlier one, or stay within a line.
LEVELS = (
    {"core"},
    {"ops"},
    {"tokens", "orders", "noise", "mixers", "heads", "condition", "blocks", "backbones", "models", "data"},
    {"decode"},
    {"deploy"},
    {"objectives", "edit", "probe"},
    {"builders"},
    {"systems"},
    {"convert", "train"},
    {"tasks"},
    {"laws", "claims", "compare", "bench", "serve", "readings"},
    {"cli"},
)
LEVEL = {package: level for level, packages in enumerate(LEVELS) for package in packages}


def targets(module: str, names: tuple[str, ...]) -> list[str]:
    """What of sequary an import reaches, as `package.module`; the top module, which reaches everything, as `*`."""
    if module.split(".")[0] != "sequary":
        return []
    if module != "sequary":
        return [module.removeprefix("sequary.")]
    return [name if name in LEVEL else "*" for name in names] or ["*"]


def one_way(root: Path) -> list[str]:
    """Imports point one way (LEVELS), and no modules import each other in a circle."""
    found: list[str] = []
    graph: dict[str, set[str]] = {}
    for path, tree in sources(root):
        if path == Path("__init__.py"):
            continue
        package = path.parts[0].removesuffix(".py")
        if package not in LEVEL:
            found.append(
                f"{path}: {package} has no level; give it one in tests/repo/direction.py and docs/architecture.md"
            )
            continue
        reached = graph.setdefault(".".join(path.with_suffix("").parts), set())
        for line, module, names in imports(tree):
            if module.startswith("."):
                found.append(f"{path}:{line} relative import of {module}: write it in full")
            for target in targets(module, names):
                to = target.split(".")[0]
                if to == "*" and package != "cli":
                    found.append(
                        f"{path}:{line} imports the top module, which reaches everything: import from its home"
                    )
                elif to != package and to != "*" and LEVEL.get(to, len(LEVELS)) > LEVEL[package]:
                    found.append(f"{path}:{line} {package} imports {to}, which stands above it")
                reached |= {target, *(f"{target}.{name}" for name in names)}
    return found + circles(graph)


def circles(graph: dict[str, set[str]]) -> list[str]:
    known = {module: {to for to in reached if to in graph and to != module} for module, reached in graph.items()}
    try:
        graphlib.TopologicalSorter(known).prepare()
    except graphlib.CycleError as error:
        return [f"a circle of imports: {' <- '.join(error.args[1])}"]
    return []
