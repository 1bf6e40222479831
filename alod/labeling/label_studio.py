"""Label Studio's tasks and exports, of image classification: ``image`` and ``choice``.

A label is a class name or another answer, ``""`` where there is none, None where somebody skipped
the image. Exports are read by :func:`alod.labeling.tables.read_answers`.

>>> text = tasks(["a b.png"], ["x/a%20b.png"], ["cat"], [[("dog", 0.9)]], "alod")
>>> rows("tasks.json", text)
[('tasks.json task 1', 'a b.png', 'cat', '')]
>>> finder(["a/1.png", "b/2.png"])("/data/local-files/?d=photos/a/1.png")
['a/1.png']
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import quoteattr

from alod.data.names import nfc
from alod.errors import AlodError

LOCAL_FILES = "/data/local-files/?d="
"""What the address of an image begins with where Label Studio reads it from its own disk."""
# Uploads are kept without their folders, behind a random number.
_UPLOADED = re.compile(r"upload/(?:\d+/)?[0-9a-f]{8}-([^/]+)$")
Row = tuple[str, str, str | None, str]
"""A place in a file; the name of an image, or its address; its label; the annotator."""


def interface(labels: Sequence[str]) -> str:
    """Return the labeling interface for a project whose images may get these `labels`."""
    choices = "".join(f"<Choice value={quoteattr(label)}/>" for label in labels)
    image = '<Image name="image" value="$image"/>'
    return f'<View>{image}<Choices name="choice" toName="image">{choices}</Choices></View>'


def tasks(
    files: Sequence[str],
    addresses: Sequence[str],
    labels: Sequence[str | None],
    guesses: Sequence[Sequence[tuple[str, float]]],
    version: str,
) -> str:
    """Return a task for each of the `files`, as JSON; its name comes back with its label.

    `addresses`: where the images are; `labels`: what they have, or not; `guesses`, of each at most
    one: class and probability, pre-annotations by a `version` of the classifier.
    """
    told = []
    for file, address, label, guess in zip(files, addresses, labels, guesses, strict=True):
        given = [{"result": _choice(label), "was_cancelled": label is None}] * (label != "")
        sure = [{"model_version": version, "score": p, "result": _choice(c)} for c, p in guess]
        data = {"image": address, "file": file}
        told.append({"data": data, "annotations": given, "predictions": sure})
    return json.dumps(told, ensure_ascii=False, indent=1) + "\n"


def _choice(label: str | None) -> list[dict[str, Any]]:
    place = {"id": "choice", "type": "choices", "from_name": "choice", "to_name": "image"}
    return [] if label is None else [{**place, "value": {"choices": [label]}}]


def rows(path: Path | str, text: str) -> list[Row]:
    """Read the `text` of a JSON or JSON-MIN export at `path`; refused if it is none."""
    found: list[Row] = []
    where = str(path)
    try:
        for number, task in enumerate(json.loads(text), 1):
            where = f"{path} task {number}"
            data = task.get("data", task)
            image = str(data["file"] if "file" in data else data["image"])[:1000]
            for given in task.get("annotations", ()) if "data" in task else [task]:
                results = [r["value"] for r in given.get("result", ()) if r["type"] == "choices"]
                told = [label for value in results for label in value["choices"]]
                label = chosen(where, given.get("choice", told))
                by = given.get("completed_by", given.get("annotator"))
                by = by.get("email", by.get("id")) if isinstance(by, dict) else by
                skipped = given.get("was_cancelled")
                found.append((where, image, None if skipped else label, str(by or "")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, AlodError):
            raise
        expected = "expected tasks with an image, as Label Studio's JSON or JSON-MIN holds them"
        raise AlodError(f"{where}: {expected} ({type(error).__name__}: {error})") from None
    return found


def chosen(where: str, told: Any) -> str:
    """Return the one label that is `told` `where`, as text, list or JSON; refuse several."""
    if isinstance(told, str) and told.startswith('{"choices":'):
        told = json.loads(told)
    told = told["choices"] if isinstance(told, dict) else told
    labels = [told] if isinstance(told, str) else list(dict.fromkeys(told or [""]))
    if len(labels) > 1:
        mend = "keep one of them there, or leave the task out"
        raise AlodError(f"{where}: has {len(labels)} choices, {', '.join(labels)}; {mend}")
    return str(labels[0])


def finder(files: Collection[str]) -> Callable[[str], list[str]]:
    """Return what tells which of the `files`, in NFC, the address of an image may stand for."""
    uploads = defaultdict(list)
    for name in files:
        kept = name.rpartition("/")[2].replace(" ", "_")
        uploads[re.sub(r"[^-\w.]", "", kept)].append(name)

    def find(address: str) -> list[str]:
        if nfc(address) in files:
            return [nfc(address)]
        path = nfc(unquote(address.partition("?d=")[2] or urlsplit(address).path))
        if uploaded := _UPLOADED.search(path):
            return uploads[uploaded[1]]
        parts = path.replace("\\", "/").split("/")
        return [f for f in ("/".join(parts[i:]) for i in range(len(parts))) if f in files]

    return find
