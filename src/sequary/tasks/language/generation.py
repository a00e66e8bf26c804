"""Text from a language model: a prompt continued byte by byte, in blocks, or by beam search."""

from __future__ import annotations

import dataclasses
from time import perf_counter
from typing import Any

import torch

from sequary.core.part import put
from sequary.core.recipe import Recipe
from sequary.core.values import Batch
from sequary.decode.beam import Beam
from sequary.decode.blockwise import Blockwise
from sequary.decode.stepwise import Stepwise
from sequary.deploy.native import Native
from sequary.tasks.language.fitted import Fitted
from sequary.tasks.sampling import Sampling
from sequary.train.learning import evaluating

DECODERS: dict[str, type[Any]] = {"stepwise": Stepwise, "blockwise": Blockwise, "beam": Beam}


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """What was written after a prompt, in how many model calls (each prompt read is one) and seconds."""

    prompt: bytes
    raw: bytes
    """The new bytes alone."""
    decode: str
    calls: int
    seconds: float

    @property
    def text(self) -> str:
        """Prompt and new bytes, what is no UTF-8 replaced."""
        return (self.prompt + self.raw).decode("utf-8", errors="replace")


@dataclasses.dataclass(frozen=True, slots=True)
class Checked:
    """A text against what the same model writes stepwise, always the likeliest byte."""

    written: Written
    stepwise: Written

    @property
    def differs(self) -> int | None:
        """The first new byte in which they differ; None where they are equal."""
        pairs = enumerate(zip(self.written.raw, self.stepwise.raw, strict=True))
        return next((at for at, (one, other) in pairs if one != other), None)


def decoder(recipe: Recipe, name: str | None, sampling: Sampling) -> tuple[str, Any]:
    """The recipe's own decoder, or one by name, with what is asked for; stepwise where a recipe has none."""
    own = next((known for known, cls in DECODERS.items() if isinstance(recipe.decode, cls)), "stepwise")
    name = own if name is None else name
    if name not in DECODERS:
        raise ValueError(f"--decode {name}: a text is written {', '.join(DECODERS)}")
    made: Any = recipe.decode if isinstance(recipe.decode, DECODERS[name]) else DECODERS[name]()
    return name, sampling.of(made, f"--decode {name}")


def write(
    fitted: Fitted,
    prompt: str | bytes,
    n: int,
    *,
    decode: str | None = None,
    seed: int = 0,
    sampling: Sampling,
    native: Native | None = None,
) -> Written:
    """`n` bytes after the prompt; by the model with compiled steps where one is given.

    A model reads no more bytes than the windows that it learnt from, so that long texts are written in passes: each begins
    with the last half window of what stands there, and fills the window.
    """
    given = prompt.encode() if isinstance(prompt, str) else bytes(prompt)
    if not given:
        raise ValueError("--prompt is empty; give at least one byte, such as a line end")
    if n < 1:
        raise ValueError(f"n={n}: at least one byte is needed")
    name, made = decoder(fitted.recipe, decode, sampling)
    _able(fitted, name)
    if native is not None and name == "blockwise":
        raise ValueError(
            "--compile makes steps of one byte fast, and --decode blockwise takes more; leave one of them out"
        )
    model = native or fitted.model
    rng = torch.Generator(fitted.device).manual_seed(seed)
    began, calls, text = perf_counter(), 0, given
    with evaluating(model):
        while len(text) < len(given) + n:
            window = text[-max(1, fitted.context // 2) :]
            new = min(len(given) + n - len(text), max(1, fitted.context - len(window)))
            tokens = torch.tensor([list(window)], device=fitted.device)
            found = put(made, "new", new, name)(model, Batch(values=tokens), rng)
            text += bytes(found.raw[0, len(window) :].tolist())
            calls += found.calls
    return Written(given, text[len(given) :], name, calls, perf_counter() - began)


def check(fitted: Fitted, written: Written) -> Checked:
    """The same prompt and length, stepwise. For decoders that promise the greedy text."""
    if written.decode != "blockwise":
        raise ValueError(
            f"--check compares what is written in blocks; --decode {written.decode} promises no greedy text"
        )
    greedy = Sampling(temperature=0)
    return Checked(written, write(fitted, written.prompt, len(written.raw), decode="stepwise", sampling=greedy))


def _able(fitted: Fitted, name: str) -> None:
    """ValueError where the model cannot be decoded so, with what can."""
    model, title = fitted.model, fitted.recipe.model.name
    try:
        model.init_state(Batch(values=torch.zeros(1, 1, dtype=torch.long, device=fitted.device)))
    except NotImplementedError:
        raise ValueError(
            f"this {title} has no recurrent form, so it cannot be continued byte by byte; choose gpt, gla, mamba or megabyte"
        ) from None
    if name == "blockwise" and len(model.heads) < 2:
        raise ValueError(
            f"--decode blockwise needs heads that look further ahead, and this {title} has only {len(model.heads)}; "
            "fit blockwise-parallel-decoding, or write --decode stepwise"
        )
