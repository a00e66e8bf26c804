"""Refusing data: one line that names the file, the row and column, what is wrong, and the mend."""

from __future__ import annotations

import dataclasses

TEXT_TABLES = (".csv", ".tsv", ".tab", ".txt", ".dat")


class DataError(ValueError):
    """Data that cannot be used as they are. `row` is None where no single row is to blame."""

    def __init__(
        self, what: str, *, file: str = "", column: str | None = None, row: int | None = None, mend: str
    ) -> None:
        self.file, self.column, self.row, self.mend = file, column, row, mend
        place = [file] if file else []
        place += [f"row {row}"] if row is not None else []
        place += [f"column {column!r}"] if column is not None else []
        super().__init__(" ".join(f"{', '.join(place)}{': ' if place else ''}{what}; {mend}".split()))


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """Where a table came from. Rows of a text file are its lines (the header is 1), all others count from 0."""

    name: str

    def row(self, index: int) -> int:
        return index + 2 if self.name.lower().endswith(TEXT_TABLES) else index

    def refuse(self, what: str, *, mend: str, column: str | None = None, index: int | None = None) -> DataError:
        return DataError(what, file=self.name, column=column, row=None if index is None else self.row(index), mend=mend)
