"""A learner as one file, which runs no code when it is read."""

import io
import json
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alod.errors import AlodError, one_line
from alod.files import write_atomically
from alod.pool import as_pool, fingerprint
from alod.recipe import Recipe
from alod.strategies import STRATEGIES
from alod.training import Images


def write(
    path: Path,
    settings: Mapping[str, Any],
    state: Mapping[str, Any],
    initial_state: Mapping[str, Tensor],
    images: Images,
) -> None:
    """Write a learner's `settings`, `state`, `initial_state` and `images` (N, C, H, W) to `path`.

    A memory-mapped pool, a module and a function of the user's own are left out.
    """
    told = {name: value for name, value in settings.items() if name != "device"}
    params = dict(told["strategy_params"])
    try:
        told["strategy_params"] = json.loads(json.dumps(params))
    except TypeError as error:
        raise AlodError(
            f"strategy_params={params}: {error}, so that no file can hold it; give plain "
            "values, such as a detector's name"
        ) from None
    told["model"] = told["model"] if isinstance(told["model"], str) else None
    # Whoever opens the file shall not import what it names.
    named = isinstance(told["strategy"], str) and told["strategy"] in STRATEGIES
    told["strategy"] = told["strategy"] if named else None
    told["augment"] = "given" if callable(told["augment"]) else told["augment"]
    content = {
        "state": dict(state),
        "initial_state": dict(initial_state),
        "settings": told,
        "images": images if isinstance(images, Tensor) else None,
        "fingerprint": fingerprint(images),
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomically(path, buffer.getvalue())


def read(path: str | Path, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what :func:`write` wrote to `path`, and the learner's arguments: `given` or stored."""
    try:
        # weights_only: a file from elsewhere cannot run code.
        content = torch.load(path, map_location="cpu", weights_only=True)
        settings = dict(content["settings"])
        saved = {name: content[name] for name in ("images", "fingerprint", "initial_state")}
        saved["state"] = content["state"]
    except FileNotFoundError:
        raise AlodError(f"{path}: no such file") from None
    except Exception as error:
        told = f"{type(error).__name__} {one_line(error)}"[:80]
        raise AlodError(f"{path}: no saved learner ({told}); save() it again") from error
    later = settings.keys() - {"n_classes", *(f.name for f in fields(Recipe))}
    if later:
        raise AlodError(
            f"{path}: has the setting {min(later)!r}, unknown to this version of alod; upgrade alod"
        )
    settings["images"] = saved["images"]
    settings |= {name: value for name, value in given.items() if value is not None}
    missing = [name for name in given if settings.get(name) is None and name != "augment"]
    missing += ["augment"] * (settings.get("augment") == "given")
    if missing:
        raise AlodError(f"{path}: does not hold its {', '.join(missing)}; pass it to load()")
    images = settings["images"]
    pool, _ = as_pool(images)
    if fingerprint(pool) != saved["fingerprint"]:
        raise AlodError(f"{path}: was made with other images; pass the same pool to load()")
    return saved, settings


@contextmanager
def matching(path: str | Path) -> Iterator[None]:
    """Refuse in one line a state, read from `path`, that is not of the learner's model."""
    try:
        yield
    except (RuntimeError, KeyError, AttributeError, TypeError) as error:
        told = one_line(error)[:200]
        raise AlodError(f"{path}: does not fit its model ({told}); give the same") from error


def check_pickle(**parts: object) -> None:
    """Refuse in one line, by its name, a part that pickle would refuse with a riddle."""
    for name, part in parts.items():
        try:
            pickle.dumps(part)
        except Exception as error:
            raise AlodError(
                f"{name}: pickle cannot keep it ({one_line(error)}); define it at the top of a "
                "module, or keep the learner by save() and load()"
            ) from None
