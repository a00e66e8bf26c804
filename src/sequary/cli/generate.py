"""`sequary generate`: a saved model makes images, as one picture or as arrays, or writes on from a prompt."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from sequary.core.files import write_atomic
from sequary.tasks.generate.pictures import SUFFIXES, packed
from sequary.tasks.generate.task import Saved as Images
from sequary.tasks.language.generation import Checked, Written
from sequary.tasks.language.task import Saved as Texts
from sequary.tasks.saved import load

IMAGES, BYTES = 64, 500


def command(
    model: str,
    *,
    n: int | None = None,
    label: str | None = None,
    prompt: str | None = None,
    seed: int = 0,
    temperature: float | None = None,
    top_k: int | None = None,
    guidance: float | None = None,
    decode: str | None = None,
    compile: bool = False,
    check: bool = False,
    out: str | None = None,
    as_json: bool = False,
) -> int:
    """Exit status 1 where `check` finds another text than stepwise decoding writes."""
    saved = load(model)
    chosen: dict[str, Any] = {"seed": seed, "temperature": temperature, "top_k": top_k}
    if isinstance(saved, Images):
        _refuse(
            "images", **{"--prompt": prompt, "--decode": decode, "--compile": compile or None, "--check": check or None}
        )
        return images(saved, n=n, label=label, guidance=guidance, out=out, as_json=as_json, **chosen)
    if isinstance(saved, Texts):
        _refuse("a text", **{"--class": label, "--guidance": guidance})
        chosen |= {"decode": decode, "compile": compile}
        written = saved.generate("\n" if prompt is None else prompt, BYTES if n is None else n, **chosen)
        return text(written, saved.check(written) if check else None, out, as_json=as_json)
    raise ValueError(f"{model} is a model of the task {saved.task}; generate is for models of images and of texts")


def _refuse(what: str, **given: object) -> None:
    for flag, value in given.items():
        if value is not None:
            raise ValueError(f"{flag} says nothing to a model of {what}; leave it out")


def images(saved: Images, *, n: int | None, label: str | None, out: str | None, as_json: bool, **chosen: Any) -> int:
    file = Path(out or "generated.png")
    if file.suffix.lower() not in SUFFIXES:
        raise ValueError(f"--out {file}: images are written as {' or '.join(SUFFIXES)}")
    count = IMAGES if n is None else n
    made = saved.generate(count, label=label, **chosen)
    labels = [saved.classes[code] for code in saved.codes(count, label)] if saved.classes else None
    columns = len(saved.classes) if label is None and 1 < len(saved.classes) <= 20 else None
    write_atomic(file, packed(made, labels, file.suffix.lower(), columns))
    facts = {"out": str(file), "images": count, "shape": list(made.shape[1:])}
    print(json.dumps(facts) if as_json else f"{count:,} image{'s' if count > 1 else ''}\n{file}")
    return 0


def text(written: Written, checked: Checked | None, out: str | None, *, as_json: bool) -> int:
    """What was written on standard output, or into `out`; calls and time on standard error."""
    if out is not None:
        write_atomic(out, written.prompt + written.raw)
    if as_json:
        print(json.dumps(_facts(written, checked) | ({"out": out} if out else {"text": written.text})))
    else:
        print(out or shown(written.text))
        print(cost(written), file=sys.stderr)
        if checked is not None:
            print(verdict(checked), file=sys.stderr)
    return 0 if checked is None or checked.differs is None else 1


def _facts(written: Written, checked: Checked | None) -> dict[str, Any]:
    facts = {name: getattr(written, name) for name in ("decode", "calls", "seconds")} | {"bytes": len(written.raw)}
    if checked is None:
        return facts
    other = checked.stepwise
    return facts | {
        "equal": checked.differs is None,
        "differs": checked.differs,
        "stepwise": {"calls": other.calls, "seconds": other.seconds},
    }


def shown(text: str) -> str:
    """Nothing that a terminal would obey."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def cost(written: Written) -> str:
    count = len(written.raw)
    return f"{written.decode}: {count:,} bytes in {written.calls:,} model calls, {written.seconds:.2f} s"


def verdict(checked: Checked) -> str:
    one, other = checked.written, checked.stepwise
    line = f"{cost(other)}; {other.calls / one.calls:.2f} × the calls, {other.seconds / one.seconds:.2f} × the time"
    if checked.differs is None:
        return f"{line}; the texts are equal"
    return f"{line}; the texts DIFFER from new byte {checked.differs} on"
