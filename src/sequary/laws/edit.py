"""Laws of edits: the model that comes in stays, the one that comes out can be saved, loaded and rebuilt."""

from __future__ import annotations

import json

import torch
from safetensors import torch as safetensors

from sequary.core.recipe import Recipe
from sequary.core.values import Batch, Edited
from sequary.laws.host import HostCase, unchanged
from sequary.laws.law import Broken, Law, equal, finite, held


def edited(case: HostCase) -> tuple[Edited, Batch]:
    """The edit of the host, with three batches for calibration; and a batch to try it on."""
    seen = tuple(case.batch(4, s) for s in range(3))
    return case.make()(case.model(), case.recipe(), seen, torch.Generator().manual_seed(0)), case.batch(3, 9)


def untouched(case: HostCase) -> None:
    """Model, recipe and calibration come out as they went in; changing the new model does not change the old one."""
    model, recipe, seen = case.model(), case.recipe(), tuple(case.batch(4, s) for s in range(3))
    before = recipe.to_json()
    with unchanged(model, *seen, builds=True):
        made = case.make()(model, recipe, seen, torch.Generator().manual_seed(0))
        held(made.model is not model, "gives back the model that came in: an edit makes a new one")
        with torch.no_grad():
            for p in made.model.parameters():
                p.add_(1.0)
    held(recipe.to_json() == before, "changes the recipe that came in")


def reloads(case: HostCase) -> float:
    """Saved as safetensors and loaded into what its recipe (read from JSON) builds, it says the same."""
    made, batch = edited(case)
    saved = safetensors.save({k: v.clone().contiguous() for k, v in made.model.state_dict().items()})
    recipe = Recipe.from_json(json.loads(json.dumps(made.recipe.to_json())))
    again = recipe.build().double().eval()
    try:
        again.load_state_dict(safetensors.load(saved))
    except RuntimeError as error:
        raise Broken(
            f"the edited model cannot be loaded into what its recipe builds: {str(error).splitlines()[-1].strip()}"
        ) from None
    with torch.no_grad():
        out, expected = again(batch).hidden, made.model.eval()(batch).hidden
    finite(out, "hidden values of the edited model")
    return equal(out, expected, "the edited model after saving and loading")


def repeats(case: HostCase) -> None:
    """The same generator makes the same edit."""
    (a, _), (b, _) = edited(case), edited(case)
    held(a.recipe == b.recipe, "the same generator makes another recipe")
    first, again = a.model.state_dict(), b.model.state_dict()
    held(
        first.keys() == again.keys() and all(torch.equal(first[k], again[k]) for k in first),
        "the same generator makes another model",
    )


def stated(case: HostCase) -> None:
    """It says what it measured; `parameters` is the size of the new model, and something differs from the old one."""
    made, _ = edited(case)
    held(len(made.numbers) > 0, "an edit without numbers: say at least `parameters`")
    for name, value in made.numbers.items():
        held(value == value and abs(value) != float("inf"), f"{name} = {value}")
    count = sum(p.numel() for p in made.model.parameters())
    said = made.numbers.get("parameters", count)
    held(said == count, f"says {said:,.0f} parameters, the new model has {count:,}")
    old, new = case.model().state_dict(), made.model.state_dict()
    same = old.keys() == new.keys() and all(old[k].shape == new[k].shape and torch.equal(old[k], new[k]) for k in old)
    held(not same, "the edited model is the old one, weight by weight")


LAWS = (
    Law(name="untouched", contract="edit", catches="an edit that changes its input", check=untouched),
    Law(name="reloads", contract="edit", catches="an edited model that cannot be loaded", check=reloads),
    Law(name="edit_repeats", contract="edit", catches="an edit that its generator does not decide", check=repeats),
    Law(name="stated", contract="edit", catches="a size that is not the stated one", check=stated),
)
