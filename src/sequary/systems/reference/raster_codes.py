"""Codes in raster order: the plain autoregressive image model that others are measured by.

log p(c) = Σ_t log p(c_t | c_1 … c_{t−1}, class) over the codes of a vector-quantised image, row by row; sampling keeps keys and values.
It is `rar` with raster order from the first step: same tokenizer, same transformer, same sizes.
"""

from sequary.core.card import Card
from sequary.decode.choice import Drawn
from sequary.decode.guidance import Growing
from sequary.decode.raster import CodeByCode
from sequary.orders.permuted import Permuted
from sequary.systems.generation.rar import GRID
from sequary.systems.generation.rar import RECIPE as RAR

CARD = Card(
    id="raster-codes",
    title="Raster-order next-token prediction over vector-quantised images",
    kind="reference",
    modalities=("image",),
)
RASTER = Permuted(start=0.0, stop=0.0)
RECIPE = RAR.but(
    stages__1__objective__order=RASTER,
    decode=CodeByCode(grid=GRID, order=RASTER, choice=Drawn(), guidance=Growing(2.0)),
)
