"""A plain function as a command of typer.

`command(system: str, *, horizon: int | None = None, as_json: bool = False)` becomes `SYSTEM --horizon N --json`: a `str`
without default is an argument, everything else an option, named in `options.py`. What is not given is not passed, so that
the function's own default holds. Commands are called from Python and from tests as what they are.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from sequary.cli import values
from sequary.cli.options import COLUMNS, FORMS, Form

NONE = inspect.Parameter.empty


def declared(command: Callable[..., int]) -> Callable[..., int]:
    """`command` with a signature that typer reads."""
    hints = get_type_hints(command)
    wanted = inspect.signature(command).parameters
    place = command.__module__.rpartition(".")[2]
    forms = {name: FORMS.get(f"{place}.{name}") or FORMS[name] for name in wanted if name != "columns"}
    shown = [_parameter(forms[name], p, hints[name]) for name, p in wanted.items() if name != "columns"]
    if "columns" in wanted:
        forms |= COLUMNS
        shown += [_option(form, name, str | None, None, None) for name, form in COLUMNS.items()]

    def run(**given: Any) -> int:
        found = {name: _value(forms[name], hints.get(name), word) for name, word in given.items() if word is not None}
        if "columns" in wanted:
            from sequary.data.roles import Columns

            found["columns"] = Columns(**{name: found.pop(name) for name in COLUMNS if name in found})
        bare = {name: None for name, p in wanted.items() if p.default is NONE}
        return command(**{**bare, **found})

    typed: Any = run
    typed.__signature__ = inspect.Signature(shown)
    typed.__annotations__ = {p.name: p.annotation for p in shown}
    return run


def _value(form: Form, hint: Any, word: Any) -> Any:
    if form.parse is not None:
        return form.parse(word)
    return values.whole(form.flag, word) if _is_number(hint) and isinstance(word, str) else word


def _is_number(hint: Any) -> bool:
    return int in (hint, *get_args(hint))


def _parameter(form: Form, parameter: inspect.Parameter, hint: Any) -> inspect.Parameter:
    bare, name = parameter.default is NONE, parameter.name
    if bare and hint is str:
        argument = typer.Argument(metavar=form.flag.lstrip("-").upper(), help=form.help)
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[str, argument])
    if hint is bool:
        return _option(form, name, bool, False, None)
    if form.parse is None and get_origin(hint) in (list, Sequence):
        return _option(form, name, list[str], [], None)
    told = None if bare or parameter.default is None or form.parse else str(parameter.default)
    shown = dataclasses.replace(form, metavar="N") if _is_number(hint) else form
    return _option(shown, name, str | None, None, told)


def _option(form: Form, name: str, hint: Any, default: Any, told: str | None) -> inspect.Parameter:
    metavar = form.metavar or (None if hint is bool else "WORD")
    help = f"{form.help} [default: {told}]" if told else form.help
    option = typer.Option(form.flag, help=help, metavar=metavar, show_default=False)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[hint, option], default=default)
