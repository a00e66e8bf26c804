"""SHI-Labs/NATTEN: dilated neighbourhood attention is its neighbourhood attention with `dilation` above 1, and is converted as that."""

from __future__ import annotations

from sequary.convert.nat_neighborhood import load, replay

__all__ = ["load", "replay"]
