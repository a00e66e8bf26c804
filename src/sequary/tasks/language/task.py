"""Language modelling as a task: a text in, a model that scores bytes, and writes them, out."""

from __future__ import annotations

import functools
from pathlib import Path

from sequary.core.contracts import Model
from sequary.core.recipe import Recipe
from sequary.data.texts import Bytes, is_text, read_text
from sequary.deploy.native import Native
from sequary.tasks import task
from sequary.tasks.language.contract import Contract
from sequary.tasks.language.editing import Changed, edit
from sequary.tasks.language.fitted import Fitted
from sequary.tasks.language.generation import Checked, Written, check, write
from sequary.tasks.language.probing import Probed, probe
from sequary.tasks.language.train import refuses, train
from sequary.tasks.sampling import Sampling
from sequary.tasks.task import Asked, Tell

__all__ = ["CONTRACT", "DATA", "SAVED", "fit", "reads", "refuses", "reopen"]

DATA = "a text"
CONTRACT = Contract


class Saved(task.Saved):
    verbs = ("bits_per_byte(data)", "generate(prompt, n)", "edit(system)", "probe(system)")
    fitted: Fitted

    def bits_per_byte(self, data: Bytes, after: Bytes | None = None) -> float:
        """What each byte of `data` costs on average, read after `after`."""
        return self.fitted.bits_per_byte(data, after)

    def generate(
        self,
        prompt: str | bytes,
        n: int = 500,
        *,
        decode: str | None = None,
        seed: int = 0,
        temperature: float | None = None,
        top_k: int | None = None,
        compile: bool = False,
    ) -> Written:
        """`n` bytes after the prompt. `decode`: stepwise, blockwise or beam; None: as the recipe says, else stepwise. `compile`: steps
        are native code, which takes some 20 s where this recipe's are compiled for the first time; see `deploy.native`."""
        sampling = Sampling(temperature=temperature, top_k=top_k)
        native = self._native if compile else None
        return write(self.fitted, prompt, n, decode=decode, seed=seed, sampling=sampling, native=native)

    @functools.cached_property
    def _native(self) -> Native:
        return Native(self.fitted.model, places=self.fitted.context)

    def check(self, written: Written) -> Checked:
        """A text written in blocks against what is written stepwise: equal, in how many calls and seconds."""
        return check(self.fitted, written)

    def edit(
        self, system: str, *, keep: float | None = None, data: Bytes | str | Path | None = None, seed: int = 0
    ) -> Changed:
        """A smaller model by the edit of a system such as lorap, with what it brings; see `editing.edit`. This one stays."""
        return edit(self.fitted, system, keep=keep, data=data, seed=seed)

    def probe(
        self, system: str, *, data: Bytes | str | Path | None = None, n: int | None = None, seed: int = 0
    ) -> Probed:
        """What the probe of a system such as hidden-attention reads of the first `n` bytes of a text; see `probing.probe`."""
        return probe(self.fitted, system, data=data, n=n, seed=seed)


SAVED = Saved


def reads(path: str) -> bool:
    return is_text(path)


def fit(recipe: Recipe, data: str, asked: Asked, tell: Tell) -> Fitted:
    asked.refuse("language", horizon="--horizon", levels="--level", columns="a column")
    return train(recipe, read_text(data), asked.training())


def reopen(recipe: Recipe, model: Model, contract: Contract) -> Fitted:
    return Fitted(recipe=recipe, model=model, context=contract.context, record=contract.record.record())
