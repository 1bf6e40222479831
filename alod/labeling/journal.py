"""Answers on disk before anything else happens: an append-only table of what a person said."""

import csv
import io
import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from alod.data.names import breaks_line
from alod.errors import AlodError
from alod.files import refusing, sync

HEADER = "time,file,answer,annotator\n"


class Journal:
    """A CSV file ``time,file,answer,annotator`` to which rows are only ever added, each fsynced.

    Who answered is blank where nobody said so. An older file has no such column; its first line
    stays, since others may be reading it, and rows that name an annotator have a field more.

    A kill at any moment leaves whole rows and at most one torn tail, which is not read and is cut
    off before the next row is added; a row counts once its line break is on disk. Several processes
    may add rows to the file at `path`: each holds a lock while it calls :meth:`read_new` and then
    :meth:`append`.

    >>> Journal(Path("labels.csv")).append([("a/1.png", "cat", "ann"), ("a/2.png", "dog")])
    >>> Journal(Path("labels.csv")).read_new()
    [('a/1.png', 'cat'), ('a/2.png', 'dog')]
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0  # bytes read or written so far
        self._line = 0
        self._named = True  # has a column for the annotator

    def read_new(self) -> list[tuple[str, str]]:
        """Return file and answer of the rows added since the last call, by whichever process.

        Refused if a line is damaged, or the file has become shorter than what was read of it.
        """
        with refusing(self.path, "let it be read, the answers are in it"):
            if not self.path.exists() and not self._offset:
                return []
            with self.path.open("rb") as file:
                if file.seek(0, os.SEEK_END) < self._offset:
                    mend = "put the whole file back and open the run again"
                    raise AlodError(f"{self.path}: was cut or replaced while in use; {mend}")
                file.seek(self._offset)
                new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        rows = []
        for number, line in enumerate(whole.splitlines(), start=self._line + 1):
            row = self._parse(line, number)
            if number == 1:
                self._named = b"annotator" in line
            if number > 1 and row is not None:
                rows.append(row)
        self._offset += len(whole)
        self._line += whole.count(b"\n")
        return rows

    def append(self, rows: Iterable[tuple[str, ...]]) -> None:
        """Add `rows`, file, answer and, if known, annotator; they are on disk when this returns.

        Call :meth:`read_new` before, so that nobody else's rows are taken for a torn tail. What the
        disk refuses is not in the file then, none of it.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        for file, answer, *by in rows:
            if any(map(breaks_line, by)):
                raise AlodError(f"annotator {by[0]!r}: expected a name without line breaks")
            table.writerow((now, file, answer, *(by if any(by) else [""] * self._named)))
        data = text.getvalue().encode()
        if not data:
            return
        with refusing(self.path, "this answer was not taken; free space or access, answer again"):
            fresh = not self.path.exists()
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                if not self._offset:
                    data = HEADER.encode() + data
                os.ftruncate(handle, self._offset)  # a tail that a kill has torn
                self._write(handle, data)
            finally:
                os.close(handle)
            if fresh:
                _sync_folder(self.path.parent)
        self._offset += len(data)
        self._line += data.count(b"\n")

    def _write(self, handle: int, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(handle, data) :]
            sync(handle)
        except BaseException:
            # Refused means not taken: half a row must not be found later.
            os.ftruncate(handle, self._offset)
            raise

    def _parse(self, line: bytes, number: int) -> tuple[str, str] | None:
        if not line.strip():
            return None
        try:
            fields = next(csv.reader([line.decode("utf-8-sig")], strict=True))
        except (UnicodeDecodeError, csv.Error):
            fields = []
        if len(fields) not in (3, 4):
            told = f"expected {HEADER.strip()}, found {line[:60]!r}; mend or delete that line"
            raise AlodError(f"{self.path} line {number}: {told}")
        return fields[1], fields[2]


def _sync_folder(folder: Path) -> None:
    """Let the folder's entry for a new file survive a power cut, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
