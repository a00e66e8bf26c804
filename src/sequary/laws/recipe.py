"""Laws of recipes: a system file as a whole."""

from __future__ import annotations

import json

import torch

from sequary.core.catalogue import System
from sequary.core.recipe import Recipe
from sequary.laws.case import Case
from sequary.laws.law import Law, NoToy, finite, held
from sequary.laws.learning import STEPS, built, drawn, learn, learning, ready, state, train
from sequary.laws.toy import Toy, sizes
from sequary.laws.toys import toy_of

NEAR_PAPER = 0.02


class RecipeCase(Case):
    @property
    def system(self) -> System:
        return self.subject.toy["system"]

    @property
    def recipe(self) -> Recipe:
        assert self.system.recipe is not None
        return self.system.recipe

    def toy(self) -> Toy:
        """Chosen by the model and any of its objectives."""
        model: type = self.recipe.model.cls  # type: ignore[assignment]
        missing = NoToy(f"no toy for models of class {model.__name__}: the recipe has no stages")
        for stage in reversed(self.recipe.stages):  # the last one is what the system is for
            try:
                return toy_of(model, type(stage.objective))
            except NoToy as none:
                missing = none
        raise missing


def builds(case: RecipeCase) -> None:
    """Tiny, it builds, and its first stage takes a step with a finite loss."""
    toy = case.toy()
    recipe = ready(case.recipe, toy)
    model, rng = built(recipe), torch.Generator().manual_seed(0)
    batch = next(drawn(toy, sizes(recipe, toy.spec), rng, permuted=False))
    loss = recipe.stages[0].objective(model, batch, rng).value
    finite(loss, "the loss of the tiny model")
    loss.backward()


def json_round_trip(case: RecipeCase) -> None:
    """Written as JSON and read again, the recipe and its sizes are the same."""
    for recipe in (case.recipe, case.recipe.shrunk(), *(case.recipe.but(**s) for s in case.system.sizes.values())):
        back = Recipe.from_json(json.loads(json.dumps(recipe.to_json())))
        held(back == recipe, f"comes back from JSON as another recipe: {back} for {recipe}")


def learns(case: RecipeCase) -> None:
    """Ten steps of each stage move every parameter, but those that are frozen (requires_grad = False)."""
    toy = case.toy()
    recipe = ready(case.recipe, toy)
    model, rng = built(recipe), torch.Generator().manual_seed(0)
    batches = drawn(toy, sizes(recipe, toy.spec), rng, permuted=False)
    before = state(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for stage in recipe.stages:
            learning(model, stage)
            train(model, stage, batches, 10, rng)
    still = [n for n, p in model.named_parameters() if p.requires_grad and torch.equal(p, before[n])]
    held(not still, f"never learns: {', '.join(still)}; freeze it (requires_grad_(False)) or give it a gradient")


def beats_floor(case: RecipeCase) -> None:
    """Within 200 steps it beats the floor of the toy, and a twin whose targets are permuted does not."""
    toy = case.toy()
    recipe = ready(case.recipe, toy)
    own = learn(recipe, toy)
    held(own.beats, f"after {STEPS} steps on {toy.name}: {own.score:.3g}, the floor is {own.floor:.3g}")
    twin = learn(recipe, toy, permuted=True, steps=own.steps)
    held(
        not twin.beats,
        f"beats the floor with permuted targets too ({twin.score:.3g} < {twin.floor:.3g}): it sees its target",
    )


def parameters(case: RecipeCase) -> float:
    """Built on the meta device at the paper's sizes, it has the number of parameters that the paper prints, within 2 %."""
    worst = 0.0
    for size, (printed, where) in case.system.card.params.items():
        recipe = case.recipe.but(**case.system.sizes.get(size, {}))
        with torch.device("meta"):
            count = sum(p.numel() for p in recipe.build().parameters())
        error = abs(count / printed - 1)
        held(
            error <= NEAR_PAPER,
            f"{size}: {count:,} parameters, the paper prints {printed:,.0f} ({where}): {error:.1%} off",
        )
        worst = max(worst, error)
    return worst


def card(case: RecipeCase) -> None:
    """Card, docstring and claim are there."""
    system = case.system
    held(bool(system.card.title and system.card.kind), "the card has no title or kind")
    held(
        len((system.module.__doc__ or "").split()) >= 10,
        "no module docstring: the idea in five lines, and the equation",
    )
    if system.card.kind == "survey":
        held(bool(system.card.covers), "a survey whose card covers nothing")
    elif system.card.kind != "reference":
        held(system.claim is not None, "no CLAIM: what makes it worth having, and what could refute it")
        if system.claim is not None:
            held(bool(system.claim.text and system.claim.experiment), "the claim has no text or no experiment")


def has_recipe(case: RecipeCase) -> bool:
    return case.system.recipe is not None


def ours(case: RecipeCase) -> bool:
    """A recipe of a loose file names its own parts, which JSON refuses on purpose."""
    return has_recipe(case) and case.system.module.__name__.startswith("sequary.")


def printed(case: RecipeCase) -> bool:
    return has_recipe(case) and bool(case.system.card.params) and case.system.variant is None


LAWS = (
    Law(name="builds", contract="recipe", catches="tiny arguments that do not fit", check=builds, applies=has_recipe),
    Law(name="json", contract="recipe", catches="a recipe that JSON changes", check=json_round_trip, applies=ours),
    Law(name="learns", contract="recipe", catches="a parameter that nothing trains", check=learns, applies=has_recipe),
    Law(
        name="beats_floor",
        contract="recipe",
        catches="a model that learns nothing, or sees its target",
        check=beats_floor,
        applies=has_recipe,
    ),
    Law(
        name="parameters", contract="recipe", catches="another size than the paper's", check=parameters, applies=printed
    ),
    Law(name="card", contract="recipe", catches="a card without words or claim", check=card),
)
