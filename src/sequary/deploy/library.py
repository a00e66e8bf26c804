"""Exported programs as native libraries, kept for the next time in the user's own folder of caches."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import stat
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class CompileError(ValueError):
    """What was asked to be compiled is not: one line with the reason and the mend."""


Library = Callable[[list[Tensor]], list[Tensor]]
KEPT = {"aot_inductor.package_constants_in_so": False}
"""Without the weights: they are told to the library when it is loaded, and are the program's own tensors."""


def library(program: torch.export.ExportedProgram, check: Callable[[Library], None]) -> Library:
    """The program with its weights as they are, compiled unless that was done before for this torch, processor and number of threads.

    What is compiled is kept if it passes `check`, and is not checked again.

    Raises CompileError where there is no C++ compiler, or where others may write into the folder: what lies there is run.
    """
    file = folder() / f"{digest(program)}.pt2"
    if not file.exists():
        _compile(program, file, check)
    return _loaded(program, file)


def _loaded(program: torch.export.ExportedProgram, file: Path) -> Library:
    loaded: Any = torch._inductor.aoti_load_package(str(file))
    weights: dict[str, Any] = {**program.state_dict, **program.constants}
    wanted = {name: weights[name].detach() for name in loaded.get_constant_fqns()}
    loaded.load_constants(wanted, check_full_update=True, user_managed=True)
    return lambda given: loaded(*given)


def folder() -> Path:
    """$XDG_CACHE_HOME/sequary, or ~/.cache/sequary."""
    found = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sequary"
    found.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = found.stat()
    if facts.st_uid != os.getuid() or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CompileError(
            f"{found}: others may write there, and what lies there is run; chmod 700 it, or set XDG_CACHE_HOME"
        )
    return found


def digest(program: torch.export.ExportedProgram) -> str:
    """Of all that decides the library, the weights aside."""
    inputs = [(node.name, str(node.meta.get("val"))) for node in program.graph.nodes if node.op == "placeholder"]
    about = [torch.__version__, torch.get_num_threads(), platform.machine(), _processor(), KEPT]
    return hashlib.sha256(json.dumps([about, inputs, program.graph_module.code]).encode()).hexdigest()


def _processor() -> str:
    """What it can do: a library is compiled for the processor that it is compiled on."""
    info = Path("/proc/cpuinfo")
    told = info.read_text().splitlines() if info.exists() else [platform.processor()]
    return next((line for line in told if line.startswith("flags")), told[0])


def compiler() -> str | None:
    """Where the C++ compiler is."""
    return next(
        (found for name in (os.environ.get("CXX", ""), "g++", "clang++") if name and (found := shutil.which(name))),
        None,
    )


def _compile(program: torch.export.ExportedProgram, file: Path, check: Callable[[Library], None]) -> None:
    if not compiler():
        raise CompileError(
            "compiled steps need a C++ compiler, and neither g++ nor clang++ is found; install one, or set CXX"
        )
    with tempfile.TemporaryDirectory(dir=file.parent) as work, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's own, of how it names trees
        made = torch._inductor.aoti_compile_and_package(program, package_path=f"{work}/step.pt2", inductor_configs=KEPT)
        check(_loaded(program, Path(made)))
        Path(made).replace(file)
