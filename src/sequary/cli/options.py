"""What each keyword of a command is called on the command line, and how its words become values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from sequary.cli import values


@dataclasses.dataclass(frozen=True, slots=True)
class Form:
    """A flag, or the name of an argument; `parse` where the value is more than a word, a number or a yes."""

    flag: str
    help: str
    parse: Callable[[str], Any] | None = None
    metavar: str | None = None


FORMS = {
    "as_json": Form("--json", "Print JSON instead of text."),
    "bench.out": Form("--out", "Folder of figures; measured ones are kept. [default: bench-mixers]", metavar="PATH"),
    "bench.systems": Form("--systems", "Ids. [default: all mixers and blocks, and their rivals]", values.some, "A,B"),
    "budget": Form(
        "--budget", "Wall time of all training together: 90s, 5m, 1h30m; or steps a run: 200steps.", metavar="SPAN"
    ),
    "fit.budget": Form("--budget", "Wall time of training, in place of --steps: 90s, 5m.", metavar="SPAN"),
    "classify.data": Form("DATA", "A table, or recordings (.npz), as in training."),
    "classify.out": Form("--out", "File of the classes. [default: standard output]", metavar="PATH"),
    "cite": Form("--cite", "Print BibTeX."),
    "claim": Form("--claim", "Run the system's claim, live."),
    "context": Form("--context", "Look-back, in steps or bytes. [default: from season, horizon and length]"),
    "data": Form("DATA", "A table (CSV, TSV, Parquet, Arrow) or a text file."),
    "detect.alarms": Form(
        "--alarms",
        "False alarms per 1000 steps that the threshold allows. [default: 1]",
        values.number("--alarms"),
        "X",
    ),
    "detect.out": Form("--out", "File of the table with scores. [default: none]", metavar="PATH"),
    "device": Form("--device", "cpu, cuda or auto."),
    "dry_run": Form("--dry-run", "Only the plan, its time and its memory."),
    "edit.data": Form(
        "--data",
        "A text: the edit looks at its first nine tenths, the last judges. [default: text that the model writes]",
        metavar="PATH",
    ),
    "edit.keep": Form("--keep", "Share that stays, such as 0.5. [default: the system's]", values.number("--keep"), "X"),
    "edit.out": Form("--out", "Folder of the edited model. [default: MODEL-SYSTEM]", metavar="PATH"),
    "edit.system": Form(
        "--with", "Whose edit: an id of `sequary systems --kind compression`, or a .py file.", metavar="SYSTEM"
    ),
    "everything": Form("--all", "The whole catalogue, not only what is built."),
    "family": Form("--family", "All built systems of a theme or kind."),
    "generate.check": Form(
        "--check", "For --decode blockwise: whether stepwise decoding writes the same, and what it costs."
    ),
    "decode": Form("--decode", "Of a text: stepwise, blockwise or beam. [default: the recipe's, else stepwise]"),
    "generate.compile": Form(
        "--compile",
        "A text: steps as native code, compiled when a recipe first asks for it (some 20 s; needs g++ or clang++).",
    ),
    "generate.label": Form("--class", "Of images, by name. [default: the classes in turn]", metavar="NAME"),
    "generate.n": Form("--n", "Images (64) or bytes (500)."),
    "generate.out": Form(
        "--out", "Images: one .png picture, or .npz; a text: any file. [default: generated.png]", metavar="PATH"
    ),
    "goldens": Form("--goldens", "Replay the authors' recorded cases in this folder.", metavar="FOLDER"),
    "guidance": Form(
        "--guidance", "Of images: how far towards the class; 1: not at all.", values.number("--guidance"), "X"
    ),
    "has": Form("--has", "A word in the id, the title or an alias.", metavar="WORD"),
    "horizon": Form("--horizon", "Steps to forecast, which tables need; of a text, bytes scored after each origin."),
    "fit.horizon": Form("--horizon", "Steps to forecast. [default: one season, or 12]"),
    "predict.horizon": Form("--horizon", "Steps to forecast. [default: the model's, which is the most]"),
    "impute.levels": Form("--level", "Columns with intervals of the filled cells, in percent.", values.shares, "80,95"),
    "impute.out": Form("--out", "File of the filled table. [default: standard output]", metavar="PATH"),
    "kind": Form("--kind", "Of this kind only; may be repeated."),
    "levels": Form("--level", "Intervals in percent. [default: 80,95]", values.shares, "80,95"),
    "predict.levels": Form("--level", "Intervals in percent. [default: the model's]", values.shares, "80,95"),
    "max_latency": Form("--max-latency", "Of one answer: milliseconds, or 10ms.", metavar="SPAN"),
    "max_params": Form("--max-params", "Parameters at most."),
    "metric": Form("--metric", "What ranks: mase, mae, mse or crps."),
    "modality": Form("--modality", "For this kind of data only; may be repeated."),
    "model": Form("MODEL", "The folder that fit or compare wrote."),
    "what": Form("WHAT", "mixers."),
    "learn": Form("--learn", "What causal layers learn at an equal budget, in place of what they cost: hours."),
    "lengths": Form("--lengths", "Tokens. [default: 256 to 65536]", values.several("--lengths"), "N,N"),
    "out": Form("--out", "Folder of the report.", metavar="PATH"),
    "fit.out": Form("--out", "Folder of the model. [default: SYSTEM-model]", metavar="PATH"),
    "predict.out": Form("--out", "File of the forecasts. [default: standard output]", metavar="PATH"),
    "probe.data": Form(
        "--data", "A text, whose first bytes the model reads. [default: what it writes]", metavar="PATH"
    ),
    "probe.n": Form("--n", "Bytes that the model reads. [default: 40, or its context]"),
    "probe.out": Form("--out", "Folder of pictures and numbers. [default: MODEL-PROBE]", metavar="PATH"),
    "probe.system": Form("PROBE", "hidden-attention, attention-rank-collapse … (`sequary systems --kind analysis`)."),
    "prompt": Form("--prompt", "What a text begins with. [default: a line end]", metavar="TEXT"),
    "record": Form("--record", "Write what was found into the results of the package."),
    "slow": Form("--slow", "Export and compile too."),
    "season": Form("--season", "Steps until the data repeat. [default: by their step; integer time: none]"),
    "seed": Form("--seed", "Same seed, same result."),
    "seeds": Form("--seeds", "Final runs of each system."),
    "settings": Form("--set", "Change the recipe, such as dim=64; may be repeated.", metavar="PATH=VALUE"),
    "steps": Form("--steps", "Optimiser steps. [default: the recipe's]"),
    "study.out": Form("--out", "Folder of the page. [default: SYSTEM-study]", metavar="PATH"),
    "study.system": Form("STUDY", "A system with a study, such as attention-rank-collapse."),
    "system": Form("SYSTEM", "An id or alias of `sequary systems`, or a .py file of your own."),
    "show.system": Form("SYSTEM", "An id or alias of `sequary systems`."),
    "systems": Form("--systems", "Ids, aliases or .py files.", values.some, "A,B,./MINE.PY"),
    "task": Form("--task", "What is compared: forecast, language … [default: told from the data]"),
    "temperature": Form("--temperature", "0: always the likeliest.", values.number("--temperature"), "X"),
    "top_k": Form("--top-k", "Only the likeliest so many symbols; 0: all."),
}
"""By keyword; `command.keyword` where a command means it otherwise."""
COLUMNS = {
    "time": Form("--time", "Column of times.", metavar="COLUMN"),
    "id": Form("--id", "Column that tells series apart.", metavar="COLUMN"),
    "target": Form("--target", "Columns to forecast.", values.names, "A,B"),
    "static": Form("--static", "Columns that are constant in each series.", values.names, "A,B"),
    "past": Form("--past", "Columns known up to the present only.", values.names, "A,B"),
    "future": Form("--future", "Columns known beforehand.", values.names, "A,B"),
    "label": Form("--label", "Column with the class of a series, or 1 where a row is an anomaly.", metavar="COLUMN"),
}
"""The fields of `data.roles.Columns`: a command with the keyword `columns` has them all."""
