"""Figures to play with: plain JavaScript on recorded results, in a page and in a notebook alike.

Each works without a network, by mouse, keyboard and touch. The scripts and the style, in
``alod_book/_play``, travel with what is shown, so that Colab and Jupyter play it as well.

Parameters
----------
played : dict
    What ``scripts/make_playground.py`` recorded, as :func:`recorded` returns it.
curves : DataFrame
    Tidy curves of one data set and model: ``strategy, seed, n_labeled, n_foreign, test_accuracy``,
    ``strategy_params`` if any, and ``pool`` or ``dataset``, which tells the share of strangers.

Examples
--------
>>> shown = you_choose(recorded("choose"))
>>> shown.alt[:43], "<script" in shown._repr_html_()
('Nine tiles of which three are to be labeled', True)
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pandas as pd

from alod.errors import AlodError
from alod_book.figures.layout import check_columns
from alod_book.figures.style import BLUE, CLASS_COLORS, GREY, STRATEGY_COLORS, VERMILION, spelled
from alod_book.results import REPOSITORY

_CODE = Path(__file__).with_name("_play")
# Filters by what they are called in a table; what else it holds is not compared here.
_FILTERS = {"none": False, "two_sided": True}
_FILTERED = ("outlier", "candidates:agreement")  # have the filter unless told otherwise


@dataclass(frozen=True)
class Playable:
    """A figure to play with, which a notebook and a page show.

    `kind` names its script, `alt` says in words what is there, `data` is what the script reads.
    """

    kind: str
    alt: str
    data: dict[str, Any]

    def _repr_html_(self) -> str:
        code = "\n".join(_read(name) for name in ("common.js", f"{self.kind}.js"))
        # No tag may end the script before its end.
        data = json.dumps(self.data, separators=(",", ":")).replace("<", "\\u003c")
        return (
            f'<div class="alod-play" data-play="{self.kind}" role="group" '
            f'aria-label="{escape(self.alt, quote=True)}"><style>{_read("play.css")}</style>'
            f"<p>{escape(self.alt)} It plays where scripts may run.</p>"
            f'<script type="application/json">{data}</script>'
            f"<script>(() => {{\n{code}\n}})();</script></div>"
        )


@cache
def _read(name: str) -> str:
    return (_CODE / name).read_text(encoding="utf-8")


def recorded(name: str) -> dict[str, Any]:
    """Load what was recorded by the `name` of a file in ``book/results/playground``.

    From the checkout of this package or the book's repository.
    """
    file = f"book/results/playground/{name}.json"
    checkout = Path(__file__).parents[1] / file
    try:
        if checkout.exists():
            text = checkout.read_text(encoding="utf-8")
        else:
            with urlopen(f"{REPOSITORY}/{file}", timeout=60) as answer:
                text = answer.read().decode()
    except OSError as error:
        raise AlodError(f"{file}: {error}; scripts/make_playground.py makes it") from None
    return dict(json.loads(text)["play"])


def you_choose(played: dict[str, Any]) -> Playable:
    """Let the reader pick three of nine tiles to label, against random, margin and outlier.

    `played` is ``recorded("choose")``: for each deal the accuracy that every three of them reach.
    """
    digits = ", ".join(map(str, played["digits"]))
    return Playable(
        "choose",
        "Nine tiles of which three are to be labeled, by you and by three strategies; a classifier "
        f"of the digits {digits} learns from them, and its accuracy is shown.",
        played | _colors(("random", "margin", "outlier")),
    )


def any_strategy(played: dict[str, Any]) -> Playable:
    """Show what each strategy asked for, label by label, on one map, with curve and batch.

    `played` is ``recorded("strategies")``: a map, batches of one run, curves of several.
    """
    n, runs = len(played["x"]), len(next(iter(played["accuracy"].values())))
    return Playable(
        "strategies",
        f"A map of {n:,} images, a menu of strategies and a slider of labels; beside it the "
        f"learning curve, mean of {runs} seeds, below it the images asked for.",
        played | _colors(played["batches"]) | {"classColors": CLASS_COLORS},
    )


def touch_the_score(played: dict[str, Any]) -> Playable:
    """Show the outlier score of any point in a plane, between labeled points of three classes.

    `played` is ``recorded("score")``: points, and scores to compare with.
    """
    colors = {"classColors": (BLUE, CLASS_COLORS[2], CLASS_COLORS[4]), "fieldColor": VERMILION}
    return Playable(
        "score",
        f"A plane with {len(played['labeled'])} labeled points of three classes and a point to "
        "move; lines lead to its nearest labeled point of the two best classes, and the score, "
        "their ratio, is written out.",
        played | colors,
    )


def messy_pool(played: dict[str, Any]) -> Playable:
    """Show what strangers in the pool cost each query, with and without the filter.

    `played` is :func:`bill` of a table.
    """
    order = list(STRATEGY_COLORS)
    queries = dict.fromkeys(row["query"] for row in played["rows"])
    queries = dict.fromkeys(sorted(queries, key=lambda q: order.index(q) if q in order else -1))
    return Playable(
        "messy",
        "A pool of which a share are strangers; for each query how many of "
        f"{played['n_labels']:,} labels were wasted on them and which accuracy was reached, with "
        "the filter and without.",
        played | _colors(queries),
    )


def _colors(names: Any) -> dict[str, Any]:
    return {
        "colors": {name: STRATEGY_COLORS.get(name, GREY) for name in names},
        "spelled": {name: spelled(name) for name in names},
    }


def bill(curves: pd.DataFrame) -> dict[str, Any]:
    """Sum up what strangers cost at the end of the `curves`: what :func:`messy_pool` shows.

    A pool ``foreign_20`` or a data set ``mnist_among_clothing_20`` has 20 % strangers, ``clean``
    none; other pools are left out. The filter is ``two_sided`` or ``filter`` in the parameters, and
    where there are no strangers it changes no query.
    """
    check_columns(curves, ["strategy", "seed", "n_labeled", "n_foreign", "test_accuracy"])
    curves = curves.reset_index(drop=True)  # of stacked tables
    told = [
        {"share": _share(row), **_query(row["strategy"], row.get("strategy_params"))}
        for row in curves.to_dict("records")
    ]
    counted = curves[["seed", "n_labeled", "n_foreign", "test_accuracy"]]
    kept = pd.DataFrame(told, index=curves.index).join(counted).dropna(subset=["share", "filtered"])
    by = ["share", "query", "filtered"]
    end = kept[kept["n_labeled"] == kept["n_labeled"].max()]
    messy = end[end["share"] > 0]
    clean = end[(end["share"] == 0) & end["query"].isin(messy["query"])]
    clean = clean.drop_duplicates(["query", "seed"])
    both = [clean.assign(filtered=filtered) for filtered in (False, True)]
    end = pd.concat([messy, *both])
    if end.empty or end.duplicated([*by, "seed"]).any():
        raise AlodError(
            f"bill: {len(end)} runs with a share of strangers, some alike; expected one of each "
            "pool, query, filter and seed; give the rows of one data set and model"
        )
    means = end.groupby(by, sort=False).agg(
        wasted=("n_foreign", "mean"), accuracy=("test_accuracy", "mean"), seeds=("seed", "nunique")
    )
    rows = means.round({"wasted": 1, "accuracy": 4}).reset_index().to_dict("records")
    return {
        "n_labels": int(end["n_labeled"].iloc[0]),
        "rows": [row | {"share": int(row["share"])} for row in rows],
    }


def _share(row: dict[Any, Any]) -> float | None:
    pool, dataset = str(row.get("pool", "clean")), str(row.get("dataset", ""))
    found = re.search(r"^foreign_(\d+)$", pool) or re.search(r"_among_\w+_(\d+)$", dataset)
    # A data set of somebody's own may hold strangers that its name does not tell.
    clean = pool == "clean" and ":" not in dataset
    return int(found[1]) if found else 0 if clean else None


def _query(strategy: str, params: object) -> dict[str, Any]:
    told = json.loads(params) if isinstance(params, str) else {}
    if "filter" in told:
        strategy, filtered = told["query"], _FILTERS.get(told["filter"])
    else:
        filtered = told.get("two_sided", strategy in _FILTERED)
    return {"query": strategy.rpartition(":")[2], "filtered": filtered}
