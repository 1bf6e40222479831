"""Batches as tables: questions go out as CSV, answers come back from any labeling tool.

An answer is a class name or one of :data:`ANSWERS`, in files and on the page; its code is that of
:class:`alod.answers.Answers`. `path` is a CSV file; `classes`, `files` and `broken` are a run's.

>>> write_batch(Path("batch.csv"), ["a.png", "b.png"], ["cat", ""])
>>> Path("batch.csv").read_text().splitlines()
['file,label,suggestion', 'a.png,,cat', 'b.png,,']
>>> _ = Path("batch.csv").write_text("file,label" + chr(10) + "a.png,dog" + chr(10) + "b.png,")
>>> read_answers(Path("batch.csv"), {"a.png": 0, "b.png": 1}, ["cat", "dog"], broken={})
{'a.png': ('dog', '')}
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from alod.answers import FOREIGN, SKIPPED, UNCLEAR, UNLABELED
from alod.data.names import is_class_name, nfc
from alod.errors import AlodError, check_names
from alod.files import UNWRITABLE, refusing, write_atomically
from alod.labeling import label_studio

FOREIGN_WORD = "not one of these"
UNCLEAR_WORD = "cannot tell"
SKIP_WORD = "skip"
UNDO_WORD = "undo"
ANSWERS = (FOREIGN_WORD, UNCLEAR_WORD, SKIP_WORD)
"""Answers that are no class; no class may have such a name."""
WORDS = {FOREIGN: FOREIGN_WORD, SKIPPED: SKIP_WORD, UNCLEAR: UNCLEAR_WORD, UNLABELED: UNDO_WORD}


def word_of(code: int, classes: Sequence[str]) -> str:
    """Return the answer that a `code` stands for, ``"undo"`` for none."""
    return classes[code] if code >= 0 else WORDS[code]


def code_of(answer: str, classes: Sequence[str]) -> int:
    """Return the code of an `answer`."""
    if answer in classes:
        return classes.index(answer)
    return next(code for code, word in WORDS.items() if word == answer)


def check_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """Return class names without the blanks around them, in one Unicode form.

    Two or more, all different, of text that can be seen, none kept for an answer that is no class.
    """
    names = tuple(nfc(name.strip()) for name in check_names("classes", classes))
    for name in names:
        if not is_class_name(name):
            raise AlodError(f"class name {name!r}: expected printable text, not empty")
        if name.lower() in (*ANSWERS, UNDO_WORD):
            raise AlodError(f"class name {name!r}: is kept for an answer; choose another")
        if names.count(name) > 1:
            raise AlodError(f"class name {name!r} is given twice: expected different names")
    if len(names) < 2:
        raise AlodError(f"classes={list(names)!r}: expected at least two class names")
    return names


def predictions(
    files: Sequence[str],
    shares: np.ndarray,
    classes: Sequence[str],
    probabilities: bool,
    answers: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return what images are by the `shares` of the classes, float (N, C), or by `answers`, (N,).

    Columns ``file, label, confidence``; ``by`` where there are answers; ``p_`` and a class's name
    for each, if `probabilities` are wanted.
    """
    codes, told = shares.argmax(1), {}
    if answers is not None:
        by_person = (answers >= 0) | (answers == FOREIGN)
        codes = np.where(by_person, answers, codes)
        told["by"] = np.where(by_person, "person", "classifier")
    labels = [word_of(code, classes) for code in codes]
    kept = {"file": files, "label": labels, "confidence": shares.max(1).round(4)} | told
    if probabilities:
        kept |= {f"p_{n}": p for n, p in zip(classes, shares.round(4).T, strict=True)}
    return pd.DataFrame(kept)


def write_batch(path: Path, files: Iterable[str], suggestions: Iterable[str]) -> None:
    """Write a batch to be labeled, ``file,label,suggestion``, whole or not at all, labels blank.

    `suggestions`: what the classifier takes each of the `files` for; blank before it has learned.
    """
    text = io.StringIO()
    rows = [(file, "", suggestion) for file, suggestion in zip(files, suggestions, strict=True)]
    csv.writer(text, lineterminator="\n").writerows([("file", "label", "suggestion"), *rows])
    write_atomically(path, text.getvalue(), UNWRITABLE)


def read_answers(
    path: Path,
    files: Mapping[str, int],
    classes: Sequence[str],
    broken: Mapping[str, str],
    root: Path | None = None,
) -> dict[str, tuple[str, str]]:
    """Read a labeled batch, from whatever tool: file -> answer and annotator, as the rows come.

    UTF-8 text with a header line that names a column ``file`` and a column ``label``, perhaps
    ``annotator``, among others, separated by commas, semicolons or tabs; or what Label Studio
    exports as JSON, JSON-MIN or CSV. Rows with a blank label are passed over. `files` are the
    images that there are, their names in the Unicode form NFC; absolute paths below `root`, the
    folder of the images, are understood, of Label Studio whatever comes before their names. If any
    row is wrong, its line is named, nothing is taken.
    """
    with refusing(path, "expected a CSV file with the columns file and label"):
        content = Path(path).read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise AlodError(f"{path}: is no UTF-8 text; save it as 'CSV UTF-8'") from None
    if "\0" in text:
        raise AlodError(f"{path}: is no text; expected a CSV file with the columns file and label")
    if text.lstrip()[:1] in ("[", "{"):
        rows, theirs = label_studio.rows(path, text), True
    else:
        rows, theirs = _rows(path, text)
    find = label_studio.finder(files) if theirs else lambda given: []
    answers: dict[str, tuple[str, str]] = {}
    skipped: dict[str, tuple[str, str]] = {}
    for where, given, told, by in rows:
        label = told if told is None else nfc(told.strip())
        if label == "":
            continue
        found = find(given)
        if len(found) > 1:
            mend = "give it as a CSV file with the columns file and label"
            raise AlodError(f"{where}: {given!r} may be {found[0]!r} or {found[1]!r}; {mend}")
        file = found[0] if found else _known_file(where, given, files, broken, root)
        if label is None:  # if nobody answered
            skipped[file] = SKIP_WORD, by
            continue
        answer = _known_label(where, label, classes)
        known, first = answers.setdefault(file, (answer, by))
        if known != answer:
            who = f" (of {first} and {by})" if first != by else ""
            raise AlodError(f"{where}: {file!r} has two labels, {known!r} and {label!r}{who}")
    return skipped | answers


def _rows(path: Path, text: str) -> tuple[list[label_studio.Row], bool]:
    """Return the rows of a table, and whether it is Label Studio's."""
    # A name in the header may hold separators: of probabilities, those of the classes.
    header = re.sub('"[^"]*"', "", text.partition("\n")[0])
    separator = max(",;\t", key=header.count)
    table = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[label_studio.Row] = []
    try:
        names = [name.strip().lower() for name in next(table, [])]
        theirs = "choice" in names and "label" not in names
        image = "image" if theirs and "file" not in names else "file"
        columns = (image, "choice" if theirs else "label")
        for column in columns:
            if names.count(column) != 1:
                found = ", ".join(names)[:60] or "nothing"
                told = f"expected one column {column!r} in its first line: {found}"
                raise AlodError(f"{path}: {told}")
        file, label = map(names.index, columns)
        for row in table:
            where = f"{path} line {table.line_num}"
            if not "".join(row).strip():
                continue
            if len(row) != len(names):
                raise AlodError(f"{where}: has {len(row)} fields, expected {len(names)}")
            told = label_studio.chosen(where, row[label]) if theirs else row[label]
            by = row[names.index("annotator")].strip() if "annotator" in names else ""
            rows.append((where, row[file], told, by))
    except csv.Error as error:
        raise AlodError(f"{path} line {table.line_num}: is not CSV ({error})") from None
    return rows, theirs


def _known_file(
    where: str, given: str, files: Mapping[str, int], broken: Mapping[str, str], root: Path | None
) -> str:
    """Return the name by which an image is known; a path elsewhere is never opened."""
    given = nfc(given)
    below = given.replace("\\", "/").removeprefix("./")
    if root is not None:
        below = below.removeprefix(f"{nfc(root.as_posix())}/")
    for name in (given, below):
        if name in files:
            return name
    left_out = {nfc(name): why for name, why in broken.items()}
    if below in left_out:
        raise AlodError(f"{where}: file {given!r} was left out ({left_out[below]})")
    close = get_close_matches(below, files, n=1, cutoff=0.8) if len(files) < 100_000 else []
    hint = f"; did you mean {close[0]!r}?" if close else ""
    expected = f"expected a path below its image folder{hint}"
    raise AlodError(f"{where}: file {given!r} is no image of this run: {expected}")


def _known_label(where: str, label: str, classes: Sequence[str]) -> str:
    if label in classes:
        return label
    if label.lower() in ANSWERS:
        return label.lower()
    close = get_close_matches(label, [*classes, *ANSWERS], n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    known = ", ".join(map(repr, [*classes[:20], *ANSWERS]))
    raise AlodError(f"{where}: unknown label {label!r}: expected one of {known}{hint}")
