"""The hidden attention of a Mamba model as pictures: a matrix a layer, and what comes of all of them."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from numpy.typing import NDArray

from sequary.readings.page import Drawing, Page
from sequary.tasks.language.probing import Probed

SHOWN = 64
"""Bytes up to which each has its tick."""


def page(probed: Probed) -> Page:
    tensors = {name: t[:, 0].cpu().numpy() for name, t in probed.trained.tensors.items() if name != "rollout"}
    rollout = probed.trained.tensors["rollout"][0].cpu().numpy()
    symbols = [_shown(byte) for byte in probed.text]
    drawings = [_drawing(f"Layer {number}", mass, symbols) for number, mass in enumerate(tensors["mass"], 1)]
    drawings.append(_drawing("All layers (rollout)", rollout, symbols))
    error = probed.trained.numbers["error"]
    return Page(
        title="Hidden attention of a Mamba model",
        lead=(
            "Each row is a byte, and its cells are the bytes up to it: the share of |α| that the layer puts on each, mean over "
            "channels, a row summing to one. Colours are by the square root.",
            f"Read: {probed.text.decode('utf-8', errors='replace')!r}",
            f"Matrix · input differs from the layer's own scan by {error:.1e} at most, in any channel.",
        ),
        drawings=tuple(drawings),
        size=(380, 340),
        numbers={"system": probed.system, "text": list(probed.text), "layers": len(tensors["mass"]), "error": error},
        arrays={**tensors, "rollout": rollout, "text": np.frombuffer(probed.text, np.uint8)},
    )


def _drawing(title: str, mass_TT: NDArray[np.float32], symbols: list[str]) -> Drawing:
    row, column = np.unravel_index(int(np.tril(mass_TT, -1).argmax()), mass_TT.shape)
    alt = f"{title}: {len(symbols)} by {len(symbols)}, lower triangle; off the diagonal byte {row} looks most at byte {column}"
    return Drawing(title, alt, partial(_heat, mass_TT=mass_TT, symbols=symbols))


def _heat(ax: Axes, *, mass_TT: NDArray[np.float32], symbols: list[str]) -> None:
    upper = np.triu(np.ones(mass_TT.shape, dtype=bool), 1)
    image = ax.imshow(np.ma.masked_array(mass_TT, upper), cmap="viridis", norm=PowerNorm(0.5, vmin=0))
    ax.figure.colorbar(image, ax=ax, label="share of the row", shrink=0.8)
    ax.set(xlabel="byte that is looked at", ylabel="byte that looks")
    ax.grid(visible=False)
    if len(symbols) <= SHOWN:
        small = min(8.0, 280 / len(symbols))
        ax.set_xticks(range(len(symbols)), symbols, fontsize=small)
        ax.set_yticks(range(len(symbols)), symbols, fontsize=small)
        ax.tick_params(length=0, pad=1)


def _shown(byte: int) -> str:
    """Printable, and not blank."""
    return {10: "⏎", 32: "␣"}.get(byte, chr(byte) if 32 < byte < 127 else f"{byte:02x}")
