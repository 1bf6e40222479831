"""Make a run that people label, or go on with one, after whatever may have happened."""

import json
import os
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from alod.data import encoded
from alod.data.files import is_passed_over, left_out, parts_of
from alod.data.names import nfc, spellings
from alod.errors import AlodError
from alod.files import lock_run, refusing, write_atomically
from alod.heads import is_head
from alod.labeling.described import (
    best_encoder,
    cached_features,
    from_features,
    with_features,
)
from alod.labeling.images import Pool, cached, read_array, read_folder, same_images
from alod.labeling.run import PATIENCE, LabelingRun
from alod.labeling.settings import OWN, Settings
from alod.labeling.tables import check_classes
from alod.pool import darkness
from alod.recipe import takes

Source = str | Path | npt.ArrayLike | None
_RESCUE = "the labels are in labels.csv: make a new run and teach it that file"


@takes(Settings)
def open_run(
    folder: str | Path,
    images: Source = None,
    classes: Sequence[str] | None = None,
    files: Sequence[str] | None = None,
    **settings: Any,
) -> LabelingRun:
    """Make a run that people label, or go on with one, with every answer ever given.

    `folder` is the run's own, made if it is not there. `images`, a folder of image files, an array
    as :func:`alod.data.arrays.from_arrays` takes them, or features (N, D) with the names of their
    `files`, are needed the first time, and after they have moved; files that were added, changed or
    removed since are noticed. `classes`, their names, are needed the first time, unless
    `folders_are_classes`.

    The `settings` are those of :class:`alod.labeling.settings.Settings`: `encoder` (for a folder of
    photographs the best that is installed, which is said), `image_size`, `fit`, `audit`; and a
    learner's, `initial`, `features`, `strategy_params`, `training_mode`, `steps`, `batch_size`,
    `learning_rate`, `body_rate`, `augment`, `min_epochs`, `inlier_passes`, `views`, `seed`. Later
    they stay what they are, but the `device`; a `model`, `strategy`, `encoder` or `augment` of
    one's own is to be given each time.

    >>> import alod
    >>> digits = alod.load_dataset("mnist_mini")
    >>> run = open_run("run", digits.images[:200], digits.classes, model="lenet5", steps=20)
    >>> asked = run.query(30)
    >>> run.teach(asked, digits.targets[asked])
    >>> len(open_run("run").labeled)  # from what is on disk
    30
    """
    path = Path(folder).expanduser()
    if classes is not None:
        settings["classes"] = check_classes(classes)
    for name in OWN:
        if name in settings and settings[name] is None:
            del settings[name]
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always", UserWarning)
        run = _make_or_reopen(path, images, files, settings)
    for note in notes:  # told where the user called
        warnings.warn(str(note.message), note.category, stacklevel=2)
    return run


def _make_or_reopen(
    path: Path, images: Source, files: Sequence[str] | None, given: dict[str, Any]
) -> LabelingRun:
    created = not path.exists()
    if not (path / "run.json").exists():
        # Refused before anything is written.
        _check_new(path, images)
        given = _with_encoder(path, images, given)
        _settings(path, images, given, {})
    with refusing(path, "give a folder that can be written"):
        path.mkdir(parents=True, exist_ok=True)
    try:
        with lock_run(path, PATIENCE):
            for leftover in (*path.glob(".*"), *path.glob("pool/.*")):  # of processes killed
                if leftover.is_file() and leftover.name != ".lock":
                    leftover.unlink(missing_ok=True)
            run = _open(path, images, files, given)
    except Exception:
        if not (path / "run.json").exists():
            # What was read of a pool without a run would be taken for another run's.
            shutil.rmtree(path if created else path / "pool", ignore_errors=True)
        raise
    run.restore()
    if run.gone:
        told = "they are kept, and count again when the images are back"
        lost = f"answers for images that are not there: {len(run.gone)}"
        warnings.warn(f"{path}: {lost}; {told}", stacklevel=2)
    return run


def _with_encoder(path: Path, images: Source, given: dict[str, Any]) -> dict[str, Any]:
    """Give a new run the best encoder that is installed, and a model that learns from features."""
    if "encoder" not in given and is_head(given.get("model", "linear")):
        encoder, told = best_encoder(images)
        if encoder == "none" and "model" in given and not _is_features(images):
            encoder = "self_supervised"
            told = f"model={given['model']!r} learns from features: by encoder={encoder!r}"
        if told:
            warnings.warn(f"{path}: {told}", stacklevel=2)
        given = given | {"encoder": encoder}
    if given.get("encoder", "none") != "none" or _is_features(images):
        given = {"model": "linear"} | given
    return given


def _is_features(images: Source) -> bool:
    return isinstance(images, np.ndarray | Tensor) and images.ndim == 2


def _open(
    path: Path, images: Source, files: Sequence[str] | None, given: dict[str, Any]
) -> LabelingRun:
    made = (path / "run.json").exists()
    if not made:  # killed before it was one: its images may have been read in another way
        (path / "pool" / "files.csv").unlink(missing_ok=True)
    stored = _read_json(path / "run.json") if made else {"images": None, "settings": {}}
    kept, where = stored["settings"], stored.get("images")
    settings = _settings(path, images, given, kept)
    if made:
        now = settings.stored()
        for name in given:
            was, is_now = (told.get(name, getattr(Settings, name, None)) for told in (kept, now))
            if was != is_now:
                mend = "leave it out, or make another run folder"
                raise AlodError(f"{path}: was made with {name}={was!r}, not {is_now!r}; {mend}")
        if images is not None and isinstance(where, list) != isinstance(images, str | Path):
            made_of = "a folder of images" if isinstance(where, list) else "an array"
            raise AlodError(f"{path}: was made of {made_of}; leave images= out")
    root = _image_root(path, images, where)
    if _is_features(images):
        pool = from_features(images, files, path / "pool")  # type: ignore[arg-type]
    else:
        if files is not None:
            raise AlodError("files: are named by the folder; give them with features (N, D) only")
        pool = _read_pool(path, images, root, settings)
    if settings.encoder != "none":
        plain = pool
        make = cache(lambda: encoded.make(settings.encoder, plain.images, settings.device))
        pool = with_features(pool, root, settings.encoder, make, path / "pool", settings.fit)
    run = LabelingRun(path, settings, pool, root)
    where = None if root is None else [str(root), os.path.relpath(root, path.resolve())]
    content = {"images": where, "settings": settings.stored()}
    if content != stored:
        mend = "free space or access, then open the run again"
        write_atomically(path / "run.json", json.dumps(content, indent=1) + "\n", mend)
    return run


def _settings(path: Path, images: Source, given: dict[str, Any], kept: dict[str, Any]) -> Settings:
    values = kept | given
    if values.get("folders_are_classes") and not values.get("classes"):
        values["classes"] = _classes_of_folders(images)
    if not values.get("classes"):
        raise AlodError(f"{path}: a new run needs classes=, such as ['cat', 'dog']")
    later = kept.keys() - {f.name for f in fields(Settings)}
    if later:
        told = f"has the setting {min(later)!r}, unknown to this version of alod; upgrade alod"
        raise AlodError(f"{path / 'run.json'}: {told}")
    for name in OWN:
        if values.get(name) == "given":
            mend = f"open it in Python, alod.open_run({str(path)!r}, {name}=...)"
            a = "an" if name in ("encoder", "augment") else "a"
            raise AlodError(f"{path}: was made with {a} {name} of your own; {mend}")
    settings = Settings.of(**values)
    settings.stored()  # refuses what no file can hold
    return settings


def _classes_of_folders(images: Source) -> tuple[str, ...]:
    if not isinstance(images, str | Path):
        raise AlodError("folders_are_classes: expected images=, a folder with a folder a class")
    root = Path(images).expanduser()
    names = {nfc(p.name) for p in root.glob("*") if p.is_dir() and not is_passed_over(p.name)}
    if parts := parts_of(names):
        told = f"{', '.join(sorted(parts))} look like the parts of one data set, not like classes"
        raise AlodError(f"image folder {root}: {told}; give the folder of one, or classes=")
    return check_classes(sorted(names))


def _image_root(path: Path, images: Source, stored: object) -> Path | None:
    """Return the folder of the images, wherever it has moved to; None for an array."""
    if isinstance(images, str | Path):
        return Path(images).expanduser().resolve()
    if images is not None or not isinstance(stored, list):
        return None
    places = [(path / name).resolve() for place in stored for name in spellings(str(place))]
    return next((place for place in places if place.is_dir()), places[0])


def _read_pool(path: Path, images: Source, root: Path | None, settings: Settings) -> Pool:
    cache = path / "pool"
    old = cached(cache)
    if old is None and root is None and images is None:
        old = cached_features(cache)
    if root is not None and (root.is_dir() or old is None or images is not None):
        if old is not None and images is not None and root.is_dir():
            few = old.files[:: max(1, len(old.files) // 1000)]
            if not any((root / n).is_file() for name in few for n in spellings(name)):
                told = f"was made with other images than {root} holds, {few[0]} for one"
                raise AlodError(f"{path}: {told}; leave images= out, or make another run folder")
        pool = read_folder(root, cache, settings.image_size, settings.fit)
    elif images is not None and root is None:
        if old is None:
            return read_array(images, cache)  # type: ignore[arg-type]
        if not same_images(old, images):  # type: ignore[arg-type]
            raise AlodError(f"{path}: was made with other images; leave images= out")
        return old
    elif old is None:
        raise AlodError(f"{path}: its images are not there any more; give images= again")
    else:
        if root is not None:
            told = f"going on with the {len(old.files)} images as they were read"
            mend = "give images= with its new place"
            warnings.warn(f"image folder {root} is not there: {told}; {mend}", stacklevel=2)
        return old
    if old is None or pool.images.filename != old.images.filename:
        _tell_changes(path, pool, old)
    return pool


def _tell_changes(path: Path, pool: Pool, old: Pool | None) -> None:
    told = []
    if old is None or old.broken != pool.broken:
        told.append(left_out(pool.broken, len(pool.broken) + len(pool.files)))
    if old is None or old.span != pool.span:
        told.append(darkness(pool.images, pool.span))
    if old is not None:
        before, now = set(map(nfc, old.files)), set(map(nfc, pool.files))
        counts = f"images new: {len(now - before)}, gone: {len(before - now)}"
        told.append(f"the image folder has changed ({counts}); every answer is kept")
    for line in filter(None, told):
        warnings.warn(f"{path}: {line}", stacklevel=2)


def _check_new(path: Path, images: object) -> None:
    """Refuse to make a run where something else lies, before anything is written."""
    if path.is_dir():
        others = {p.name for p in path.iterdir() if not p.name.startswith(".run.json")}
        others -= {"pool", ".lock"}
        if "labels.csv" in others:
            raise AlodError(f"{path}: holds labels.csv but no run.json; {_RESCUE}")
        if others:
            told = f"holds no run but other files ({min(others)})"
            raise AlodError(f"{path}: {told}; give a folder of its own")
    inside = isinstance(images, str | Path) and Path(images).expanduser().resolve()
    if inside and inside.is_relative_to(path.resolve() / "pool"):
        raise AlodError(f"{path}: its folder pool is for the run's cache; move the images out")
    if images is None:
        raise AlodError(f"{path}: holds no run yet; a new one needs images= and classes=")


def _read_json(path: Path) -> dict[str, Any]:
    with refusing(path, "let it be read"):
        content = path.read_bytes()
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("settings"), dict):
        raise AlodError(f"{path}: is damaged; {_RESCUE}")
    settings = json.loads(nfc(json.dumps(found["settings"], ensure_ascii=False)))
    settings["strategy_params"] = settings.get("strategy_params") or None
    return found | {"settings": settings}
