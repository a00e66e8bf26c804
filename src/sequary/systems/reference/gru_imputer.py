"""A recurrent imputer after BRITS: from both sides, each step is estimated from what came before and from the other channels.

x̂_t = W_x h_{t−1}, ẑ_t = W_z x without its own channel, ĉ = β ẑ + (1 − β) x̂; ĉ fills the gaps of what the recurrence reads. The loss
is SAITS': hidden entries, plus all estimates on those that stay; BRITS' own adds a term for the agreement of the two sides.
"""

from sequary.core.card import Card
from sequary.core.part import FromData, part
from sequary.core.recipe import Recipe, Stage, Train
from sequary.models.recurrent_imputer import RecurrentImputer
from sequary.objectives.imputation import HiddenValues

CARD = Card(
    id="gru-imputer",
    title="A bidirectional recurrent imputer with gated recurrent units",
    kind="reference",
    modalities=("timeseries",),
)
RECIPE = Recipe(
    dim=96,
    model=part(RecurrentImputer, channels=FromData("channels")),
    stages=(Stage(objective=HiddenValues(rate=0.2), train=Train(lr=1e-3, batch=64, steps=2000, patience=5)),),
    tiny=(("dim", 16),),
)
TUNE = {"stages__0__train__lr": (1e-3, 3e-3)}
