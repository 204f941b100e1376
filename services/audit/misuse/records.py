"""Bytes of a CSV file as records with their line numbers, in bounded memory, whatever program has written them.

Rules
-----
1. UTF-8 and UTF-16 are told by their mark; bytes that are no UTF-8 are read as Windows-1252. Any line end ends a line.
2. A quoted cell may hold line breaks; a record has at most ``MOST_LINES`` lines and ``MOST_CHARACTERS`` characters.
3. A quote that is opened and never closed costs its own line only: what it would have swallowed is read again.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

MOST_LINES = 50
MOST_CHARACTERS = 64 * 1024
_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Record:
    """Cells of one record and the line on which it begins, from 1; ``fault`` says why it could not be read."""

    line: int
    cells: tuple[str, ...]
    fault: str = ""


class Records:
    """Reads a file piece by piece. ``width`` is the number of columns once the header is known."""

    def __init__(self) -> None:
        self.width = 0
        self._decoder: io.IncrementalNewlineDecoder | None = None
        self._start = b""
        self._text = ""
        self._line = 0
        self._delimiter = ""
        self._open: list[tuple[int, str]] = []
        self._queue: deque[tuple[int, str]] = deque()

    def feed(self, chunk: bytes) -> Iterator[Record]:
        """Take bytes; yield the records that they complete."""
        if self._decoder is None:
            self._start += chunk
            if len(self._start) < 4:
                return
            chunk, self._start = self._start, b""
            self._decoder = _decoder(chunk)
        yield from self._lines(self._decoder.decode(chunk))

    def end(self) -> Iterator[Record]:
        """Yield what is left."""
        decoder = self._decoder or _decoder(self._start)
        yield from self._lines(decoder.decode(self._start if self._decoder is None else b"", final=True))
        if self._text:
            yield from self._lines("\n")
        while self._open:
            yield from self._give_up()

    def _lines(self, text: str) -> Iterator[Record]:
        *lines, self._text = (self._text + text).split("\n")
        for line in lines:
            self._line += 1
            self._queue.append((self._line, line.replace("\0", "")))
            yield from self._drain()
        if len(self._text) > MOST_CHARACTERS:
            self._text = self._text[:MOST_CHARACTERS]
            if not self._delimiter:
                raise csv.Error(
                    f"its first line is longer than {MOST_CHARACTERS} characters: this is no CSV file"
                )

    def _drain(self) -> Iterator[Record]:
        while self._queue:
            self._open.append(self._queue.popleft())
            record = "\n".join(line for _, line in self._open)
            if not self._delimiter and record.strip():
                self._delimiter = max(_DELIMITERS, key=record.count)
            if record.count('"') % 2 and self._unclosed(record):
                if len(self._open) >= MOST_LINES or len(record) > MOST_CHARACTERS:
                    yield from self._give_up()
                continue
            cells = self._cells(record)
            if cells is None or (len(self._open) > 1 and self.width and len(cells) != self.width):
                yield from self._give_up()
                continue
            number = self._open[0][0]
            self._open.clear()
            if any(cell.strip() for cell in cells):
                yield Record(number, cells)

    def _give_up(self) -> Iterator[Record]:
        """The first open line is at fault; the others are read again."""
        (number, _), *rest = self._open
        self._open.clear()
        self._queue.extendleft(reversed(rest))
        yield Record(number, (), "a quote is opened and not closed")
        yield from self._drain()

    def _cells(self, record: str) -> tuple[str, ...] | None:
        try:
            source = io.StringIO(record, newline="")
            return tuple(next(csv.reader(source, delimiter=self._delimiter or ","), []))
        except csv.Error:
            return None

    def _unclosed(self, record: str) -> bool:
        """Whether a cell that began with a quote is still open at the end; a quote inside a cell is a letter."""
        inside, fresh, i = False, True, 0
        while i < len(record):
            letter = record[i]
            if inside:
                if letter == '"' and record[i + 1 : i + 2] == '"':
                    i += 1
                elif letter == '"':
                    inside = False
            elif letter == '"' and fresh:
                inside = True
            fresh = not inside and letter in (self._delimiter, "\n")
            i += 1
        return inside


def _decoder(start: bytes) -> io.IncrementalNewlineDecoder:
    encoding, errors = "utf-8-sig", "windows-1252"
    if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        encoding, errors = "utf-16", "replace"
    return io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(errors), translate=True)


def _windows_1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error("windows-1252", _windows_1252)
