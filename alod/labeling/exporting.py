"""What leaves a run: Label Studio's tasks, class folders, and what was learned as one module.

>>> import alod
>>> digits = alod.load_dataset("mnist_mini")
>>> run = alod.open_run("run", digits.images[:40], digits.classes, model="lenet5", steps=5)
>>> asked = run.query(20)
>>> run.teach(asked, digits.targets[asked])
>>> run.fit()
>>> run.export("digits.pt2")
>>> torch.export.load("digits.pt2").module()(digits.images[:3]).shape
torch.Size([3, 10])
"""

import base64
import io
import json
import re
import shutil
import warnings
from collections.abc import Iterable
from importlib.util import find_spec
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from alod.answers import SKIPPED, UNLABELED
from alod.data.names import nfc
from alod.data.pretrained import Frozen
from alod.errors import AlodError, one_line
from alod.files import UNWRITABLE, refusing, write_atomically
from alod.heads import Head
from alod.labeling import label_studio, tables
from alod.labeling.restoring import files_in
from alod.training import Images, as_tensor, copy_module, to_float

if TYPE_CHECKING:
    from alod.labeling.run import LabelingRun

SORTED = "sorted.csv"
"""Names the table beside class folders, of what :meth:`alod.labeling.run.LabelingRun.predicted`
returns and the ``path`` of each image."""


def write_tasks(run: "LabelingRun", indices: np.ndarray, path: Path, prefix: str) -> None:
    """Write images of a `run` at `indices`, int (k,), as Label Studio's tasks.

    Addresses are `prefix` and the name of the file; an image of an array is in its address.
    """
    files, codes = [run.files[i] for i in indices], run.answers[indices]
    words = ["" if c == UNLABELED else tables.word_of(c, run.classes) for c in codes]
    labels = [None if c == SKIPPED else word for c, word in zip(codes, words, strict=True)]
    if run.root is None and run.images.ndim > 2:
        pictures = [base64.b64encode(run.picture(i)).decode() for i in indices]
        addresses = [f"data:image/png;base64,{picture}" for picture in pictures]
    else:
        # Of cloud storage, s3://bucket/, names are taken as they are.
        is_url = prefix.startswith(("http", "/"))
        addresses = [prefix + (quote(file) if is_url else file) for file in files]
    guesses: list[list[tuple[str, float]]] = [[]] * len(files)
    if run.fitted:
        sure, best = run.learner.outputs()[1][indices].softmax(1).max(1)
        pairs = zip(best.tolist(), sure.tolist(), strict=True)
        guesses = [[(run.classes[c], round(p, 4))] for c, p in pairs]
    version = f"alod, {len(run.labeled)} labels"
    text = label_studio.tasks(files, addresses, labels, guesses, version)
    write_atomically(path, text, UNWRITABLE)


def sort_into(run: "LabelingRun", folder: Path, copy: bool) -> pd.DataFrame:
    """Sort the images of a `run` into a `folder`, a folder in it for each label.

    As links to the image files, or as copies if `copy` is true or the system has no links. Names
    stay; of two that are the same, each gets those of its folders before it. An image whose file
    is not there becomes a PNG of what was learned from. What an earlier call has made is replaced;
    a `folder` that holds anything else is refused. Returns the table that is in :data:`SORTED`.
    """
    table, root = run.predicted(), Path.cwd() if run.images.ndim == 2 else run.root
    if root is not None and folder.expanduser().resolve().is_relative_to(root):
        raise AlodError(f"{folder}: lies in the image folder {root}; give a folder elsewhere")
    there = [root is not None and (root / file).is_file() for file in run.files]
    if run.images.ndim == 2 and not all(there):
        told = f"{run.files[there.index(False)]} is not there, and the run holds features only"
        raise AlodError(f"{folder}: {told}; sort in the folder that its names begin in")
    labels = [*run.classes, tables.FOREIGN_WORD]
    plain = [re.sub(r'[\\/:*?"<>|]', "_", label).strip(". ") or "_" for label in labels]
    folder_of = dict(zip(labels, _distinct(plain), strict=True))
    names = _distinct(f if kept else f"{f}.png" for f, kept in zip(run.files, there, strict=True))
    table["path"] = [f"{folder_of[a]}/{b}" for a, b in zip(table["label"], names, strict=True)]
    with refusing(folder, "give a folder that can be written, with space for the images"):
        _clear(folder)
        write_atomically(folder / SORTED, table.to_csv(index=False), UNWRITABLE)
        for index, path in enumerate(table["path"]):
            (folder / path).parent.mkdir(exist_ok=True)
            if root is None or not there[index]:
                (folder / path).write_bytes(run.picture(index))
            elif copy or not _linked(folder / path, root / run.files[index]):
                copy = True
                shutil.copy2(root / run.files[index], folder / path)
    if root is not None and not all(there):
        told = f"image files that are not there: {there.count(False)}"
        warnings.warn(f"{folder}: {told}; sorted as small as they are learned from", stacklevel=3)
    return table


def _linked(link: Path, file: Path) -> bool:
    try:
        link.symlink_to(file)
    except (OSError, NotImplementedError):
        warnings.warn(f"{link}: no link can be made here; files are copied", stacklevel=4)
        return False
    return True


def _distinct(files: Iterable[str]) -> list[str]:
    """Return names without folders; those that are taken with them, or with a number."""
    taken: dict[str, str] = {}
    for file in files:
        base, flat = file.rpartition("/")[2], file.replace("/", "_")
        names = chain((base, flat), (f"{n}_{flat}" for n in count(2)))
        free = next(name for name in names if nfc(name).casefold() not in taken)
        taken[nfc(free).casefold()] = free  # as some file systems compare names
    return list(taken.values())


def _clear(folder: Path) -> None:
    """Make a `folder`, or empty it of what an earlier call made; refuse one that holds more."""
    made = {*files_in(folder / SORTED, "path"), SORTED}
    found = {nfc(path.relative_to(folder).as_posix()): path for path in folder.rglob("*")}
    found = {name: p for name, p in found.items() if p.is_symlink() or not p.is_dir()}
    if others := found.keys() - made:
        told = f"holds files that no earlier call made, {min(others)} for one"
        raise AlodError(f"{folder}: {told}; give a folder of its own")
    for name in found.keys() - {SORTED}:
        found[name].unlink()
    folder.mkdir(parents=True, exist_ok=True)


class _OfImages(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy_module(network).cpu()

    def forward(self, images: Tensor) -> Tensor:
        return self.network(to_float(images))[1].softmax(1)


class _Described(nn.Module):
    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = copy_module(encoder).cpu(), head

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.encoder(to_float(images)))


def write_module(run: "LabelingRun", path: Path) -> None:
    """Write what a `run` has learned for who has no alod: probabilities, (N, C), of images.

    ``torch.export.load(path).module()`` of a `path` that ends in ``.pt2``, any ONNX runtime of one
    in ``.onnx``, takes uint8 (N, C, H, W), of the run's size, or of its frozen encoder's, which is
    in it; of other runs on features float32 (N, D). The class names are in it as JSON: the extra
    file, or property, ``classes``.
    """
    learner, two = run.learner, as_tensor(run.learner.images[[0, -1]])
    two = two.float() if two.ndim == 2 else two
    if path.suffix not in (".pt2", ".onnx"):
        raise AlodError(f"{path}: expected a name that ends in .pt2, for torch, or in .onnx")
    if not run.fitted:
        raise AlodError(f"{run.folder}: nothing is learned yet; teach labels, then fit()")
    if path.suffix == ".onnx" and not (find_spec("onnx") and find_spec("onnxscript")):
        raise AlodError(f"{path}: ONNX needs two packages more: pip install onnx onnxscript")
    if run.settings.views:
        told = f"sees each image as it is, not views={run.settings.views} distorted copies"
        warnings.warn(f"{path}: what is written {told}", stacklevel=3)
    if isinstance(learner._classifier, Head):
        module: nn.Module = _of_head(learner._classifier, learner.images)
        if isinstance(run.encoder, Frozen):
            two = torch.zeros(2, 3, run.encoder.side, run.encoder.side, dtype=torch.uint8)
            module = _Described(run.encoder.module, module)
    else:
        module = _OfImages(learner.model)
    classes, content = json.dumps(run.classes), io.BytesIO()
    try:
        shapes = ({0: torch.export.Dim("n")},)
        program = torch.export.export(module.eval(), (two,), dynamic_shapes=shapes)
        if path.suffix == ".pt2":
            torch.export.save(program, content, extra_files={"classes": classes})
        else:
            onnx: Any = torch.onnx.export(program, dynamo=True, verbose=False)
            onnx.model.metadata_props["classes"] = classes
            content.write(onnx.model_proto.SerializeToString())
    except Exception as error:  # whatever the compilers meet in a model of the user's own
        reason = f"{type(error).__name__}: {one_line(error)[:300]}"
        mend = "keep run.learner.model, by torch.save or pickle"
        raise AlodError(f"{path}: this model cannot be written so ({reason}); {mend}") from error
    write_atomically(path, content.getvalue(), UNWRITABLE)


def _of_head(head: Head, features: Images) -> nn.Module:
    """Return a head as layers; refuse one that they do not compute."""
    model, seen, some = head.module, head._seen, as_tensor(features[:1000]).float()
    layers = [(np.zeros((some.shape[1], 1)), np.zeros(1))]
    if len(seen) > 1 and hasattr(model, "coefs_"):
        layers = list(zip(model.coefs_, model.intercepts_, strict=True))
    elif len(seen) > 1 and hasattr(model, "coef_"):
        layers = [(model.coef_.T, model.intercept_)]
    weight, bias = layers[0]  # that scales, too
    layers[0] = weight * head._scale, bias - head._center.numpy() @ weight * head._scale
    weight, bias = layers[-1]
    columns = seen[-weight.shape[1] :]  # of two classes it keeps the second, against the first
    wide, offsets = np.zeros((len(weight), head.n_classes)), np.full(head.n_classes, -1e4)
    wide[:, columns], offsets[seen], offsets[columns] = weight, 0, bias
    layers[-1] = wide, offsets
    parts: list[nn.Module] = []
    for weight, bias in layers:
        parts += [nn.Linear(*weight.shape), nn.ReLU()]
        state = {"weight": torch.from_numpy(weight.T), "bias": torch.from_numpy(bias)}
        parts[-2].load_state_dict(state)
    module = nn.Sequential(*parts[:-1], nn.Softmax(1))
    if not torch.allclose(module(some), head.logits(some).softmax(1), atol=1e-3):
        mend = "pickle run.learner.model, which takes run.learner.embed(features)"
        raise AlodError(f"model={type(model).__name__}: its layers are not known; {mend}")
    return module
