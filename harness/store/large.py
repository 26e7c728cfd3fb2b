"""Large stores: a `runs.csv` of a million rows as a frame, in the memory and time of the columns that a comparison reads.

The file goes through in pieces of whole lines. A piece is taken only where nothing in it could be read in two ways: every line
has the header's number of fields, quotes stand around whole fields, no field holds a line break. For anything else, and for a
cell that is not what its column allows, the answer is None: the careful reader then reads the file, or says what is wrong where.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.comparison.frame import FLAGS, NUMBERS, TEXTS, Frame, make_frame
from harness.store.schema import flag

LARGE_BYTES = 20_000_000
"""Below this size the csv module is quicker than the import of pandas."""
PIECE_BYTES = 1 << 24
COMMA, LINE_END, QUOTE = b',\n"'


def large_frame(path: Path, name: str, *, piece_bytes: int = PIECE_BYTES) -> tuple[Frame, int] | None:
    """The frame of a store's file and the bytes of its torn last line; None where the careful reader must look."""
    with path.open("rb") as file:
        names = _header(file.readline())
        if names is None:
            return None
        reader = _Reader(names)
        torn = 0
        for piece in _pieces(file, piece_bytes):
            whole = piece[: piece.rfind(b"\n") + 1]
            torn = len(piece) - len(whole)
            if whole and not (is_regular(whole, len(names)) and reader.take(whole)):
                return None
    return (make_frame(reader.columns(), reader.rows, name), torn) if reader.rows else None


def large_columns(
    path: Path, wanted: Collection[str], *, piece_bytes: int = PIECE_BYTES
) -> tuple[dict[str, list[str]], int] | None:
    """Some columns of a store's file as text, equal texts one object, and the bytes of its torn last line, which is left out.

    Columns that the file lacks are absent. None where the careful reader must look.
    """
    import pandas as pd

    with path.open("rb") as file:
        names = _header(file.readline())
        if names is None:
            return None
        columns: dict[str, list[str]] = {name: [] for name in names if name in wanted}
        torn = 0
        for piece in _pieces(file, piece_bytes):
            whole = piece[: piece.rfind(b"\n") + 1]
            torn = len(piece) - len(whole)
            if not whole:
                continue
            if not is_regular(whole, len(names)):
                return None
            data = pd.read_csv(
                io.BytesIO(whole), header=None, names=names, index_col=False, usecols=list(columns), low_memory=False,
                dtype="object", keep_default_na=False,
            )  # fmt: skip
            for name, cells in columns.items():
                cells += data[name].tolist()
    return columns, torn


def _header(line: bytes) -> list[str] | None:
    if not line.endswith(b"\n") or b"\r" in line or b"\0" in line or not line.isascii():
        return None
    names = next(csv.reader([line[:-1].decode()]), [])
    return names if len(names) > 1 and all(names) and len(set(names)) == len(names) else None


def _pieces(file: Any, size: int) -> Iterator[bytes]:
    """Pieces of whole lines; only the last one may end without a line end."""
    while piece := file.read(size):
        yield piece if piece.endswith(b"\n") else piece + file.readline()


def is_regular(piece: bytes, width: int) -> bool:
    """Whether every line of `piece` has `width` fields, and every reader of CSV reads them alike."""
    if b"\r" in piece or b"\0" in piece or not _is_utf8(piece):
        return False
    data = np.frombuffer(piece, dtype=np.uint8)
    quote = data == QUOTE
    ends = data == LINE_END
    separators = ends | (data == COMMA)
    if quote.any():
        if not _quotes_whole_fields(data, np.flatnonzero(quote)):
            return False
        separators &= np.bitwise_xor.accumulate(quote.view(np.uint8)) == 0
    at = np.flatnonzero(separators)
    lines = int(np.count_nonzero(ends))
    return at.size == lines * width and bool((data[at[width - 1 :: width]] == LINE_END).all())


def _is_utf8(piece: bytes) -> bool:
    try:
        return piece.isascii() or bool(piece.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _quotes_whole_fields(data: NDArray[np.uint8], quotes: NDArray[np.intp]) -> bool:
    """Whether quotes come in pairs that open after a separator and close before one; a doubled quote does both."""
    if quotes.size % 2:
        return False
    before = np.where(quotes[0::2] == 0, LINE_END, data[quotes[0::2] - 1])
    after = data[quotes[1::2] + 1]  # a piece ends with a line end, never with a quote
    around = np.concatenate((before, after))
    return bool(((around == COMMA) | (around == LINE_END) | (around == QUOTE)).all())


class _Reader:
    """The pieces of a file to columns."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.rows = 0
        self._parts: dict[str, list[NDArray[Any]]] = {n: [] for n in (*NUMBERS, *FLAGS, *TEXTS) if n in names}

    def take(self, piece: bytes) -> bool:
        """Keep the rows of a piece; False where a cell is not what its column allows."""
        numbers = [n for n in self._parts if n in NUMBERS]
        try:
            data = self._read(piece, list(self._parts), numbers)
            if any(self._holds_words(piece, n, data[n].to_numpy()) for n in numbers):
                return False
            for name, parts in self._parts.items():
                parts.append(_flags(data[name].tolist()) if name in FLAGS else data[name].to_numpy())
        except (ValueError, OverflowError):
            return False
        self.rows += len(data)
        return True

    def _read(self, piece: bytes, names: list[str], numbers: list[str], **rows: int) -> Any:
        """Columns of a piece: `numbers` as float64, empty cells NaN; the others as texts, of which equal ones are one object."""
        import pandas as pd

        exact: dict[str, Any] = {"float_precision": "round_trip"} if _rounds_floats(pd.__version__) else {}
        return pd.read_csv(
            io.BytesIO(piece), header=None, names=self.names, index_col=False, usecols=names, low_memory=False,
            dtype={n: "float64" if n in numbers else "object" for n in names},
            keep_default_na=False, na_values={n: [""] for n in numbers}, **exact, **rows,
        )  # fmt: skip

    def _holds_words(self, piece: bytes, name: str, values: NDArray[np.float64]) -> bool:
        """Whether a column of numbers consists of true and false, which pandas takes for 1 and 0 where all are such."""
        known = np.flatnonzero(~np.isnan(values))
        if not known.size or not np.isin(values[known], (0.0, 1.0)).all():
            return False
        cell = self._read(piece, [name], [], skiprows=int(known[0]), nrows=1)[name].iloc[0]
        return str(cell).strip().isalpha()

    def columns(self) -> dict[str, NDArray[Any]]:
        """Each column as one array; the parts are let go on the way."""
        return {name: np.concatenate(self._parts.pop(name)) for name in list(self._parts)}


def _flags(cells: list[str]) -> NDArray[np.bool_]:
    """true/false as bool; unknown is False. Raises ValueError."""
    found = {text: bool(flag(text)) for text in set(cells)}
    return np.fromiter(map(found.__getitem__, cells), dtype=bool, count=len(cells))


def _rounds_floats(pandas_version: str) -> bool:
    """Whether pandas reads the last digit of a number only when asked to."""
    return tuple(int(part) for part in pandas_version.split(".")[:2]) < (3, 1)
