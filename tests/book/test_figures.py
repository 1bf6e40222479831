import base64
import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from alod import AlodError
from alod.experiments.evaluation import (
    compare_strategies,
    gains,
    mean_ranks,
    summarize,
)
from alod_book import figures
from alod_book.figures import GROUPS
from alod_book.results import published_curves

BUDGETS = [50, 100, 200, 400]
CLASSES = ["shirt", "coat", "bag"]


def make_curves(strategies=("random", "margin", "outlier"), seeds=range(4), by="strategy"):
    rng = np.random.default_rng(0)
    rows = [
        ("mnist", "cnn", strategy, seed, n, 0.6 + 0.1 * i + 0.02 * rank + rng.normal(0, 0.01))
        for rank, strategy in enumerate(strategies)
        for seed in seeds
        for i, n in enumerate(BUDGETS)
    ]
    columns = ["dataset", "model", "strategy", "seed", "n_labeled", "test_accuracy"]
    curves = pd.DataFrame(rows, columns=columns)
    return curves if by == "strategy" else curves.assign(**{by: curves["strategy"]})


def make_map(n=60, rounds=3):
    rng = np.random.default_rng(0)
    asked = np.full(n, -1)
    asked[: rounds * 5] = np.repeat(np.arange(rounds), 5)
    return rng.normal(size=(n, 2)), rng.permutation(asked), rng.integers(0, 3, n)


def make_groups(asked):
    return np.select([asked == 0, asked == 1, asked == 2], ["initial", "outlier", "core"], "pool")


def make_tests():
    return compare_strategies(make_curves())


def make_filtered():
    """Outlier and margin with a filter and without, random without."""
    return pd.DataFrame(
        [
            ("outlier", False, 0.6, 0.90),
            ("margin", True, 0.1, 0.93),
            ("outlier", True, 0.2, 0.92),
            ("random", False, 0.3, 0.85),
            ("margin", False, 0.5, 0.91),
        ],
        columns=["strategy", "filtered", "foreign", "accuracy"],
    )


def every_figure():
    xy, asked, targets = make_map()
    history = pd.DataFrame(
        {
            "round": range(3),
            "n_labeled": [5, 10, 15],
            "test_accuracy": [0.5, 0.6, 0.7],
            "fit_seconds": [3, 4, 5.0],
            "infer_seconds": [1, 1, 1.0],
            "query_seconds": [0.1, 0.1, 0.2],
        }
    )
    title = "Outlier queries need half of the labels that random acquisition needs, on this data"
    by_class = pd.DataFrame(
        {"class": CLASSES * 2, "strategy": ["random"] * 3 + ["outlier"] * 3, "test_accuracy": 0.5}
    )
    percentiles = pd.DataFrame({"initial": ["kmeans"], "measure": ["MMD²"], "percentile": [3.0]})
    return {
        "learning_curves": figures.learning_curves(make_curves(), title=title, baseline=0.97),
        "accuracy_against_share": figures.accuracy_against_share(
            make_curves(("cnn", "lenet5"), by="model"), 6_000, title=title
        ),
        "embedding_map": figures.embedding_map(xy, make_groups(asked), title),
        "embedding_animation": figures.embedding_animation(
            xy, asked, title, CLASSES, targets, history=history
        ),
        "class_maps": figures.class_maps(
            {"CNN": (np.zeros((2, 3), int), np.zeros(3, int))}, {"CNN": ["a"]}, title
        ),
        "image_grid": figures.image_grid(np.zeros((3, 28, 28), np.uint8), list("abc"), title),
        "confusion_matrix": figures.confusion_matrix(np.diag([5, 6, 7]), CLASSES, title),
        "per_class_accuracy": figures.per_class_accuracy(by_class, title=title),
        "seconds_per_round": figures.seconds_per_round(history, title),
        "match_percentiles": figures.match_percentiles(percentiles, title),
        "pairwise_matrix": figures.pairwise_matrix(make_tests(), title),
        "gain_intervals": figures.gain_intervals(gains(make_curves()), title=title),
        "critical_difference": figures.critical_difference(mean_ranks(make_curves()), title=title),
        "learning_panels": figures.learning_panels(make_curves(), title=title),
        "filter_and_query": figures.filter_and_query(
            make_filtered(), gains(make_curves(("outlier", "margin")), "outlier"), title
        ),
    }


FIGURES = every_figure()


def named(fig, name):
    return next(trace for trace in fig.data if trace.name == name)


def luminance(color):
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_fits_a_phone_and_the_dark_and_says_what_it_shows(name):
    fig = FIGURES[name]
    layout = json.loads(fig.to_json())["layout"]
    lines = layout["title"]["text"].partition("<span")[0].removesuffix("<br>").split("<br>")
    assert " ".join(lines).startswith("Outlier queries need half")
    assert len(lines) > 1 and max(map(len, lines)) <= 38
    assert layout["margin"]["t"] >= 21 * len(lines)
    assert layout["meta"]["alt"].startswith("Outlier queries need half") and "\n" not in str(layout)
    assert len(layout["meta"]["alt"]) > len(" ".join(lines)) + 10
    for background in ("paper_bgcolor", "plot_bgcolor"):
        assert layout["template"]["layout"][background] == "rgba(0,0,0,0)"


@pytest.mark.parametrize(
    "name", sorted(set(FIGURES) - {"embedding_map", "class_maps", "image_grid"})
)
def test_axes_are_labeled(name):
    layout = FIGURES[name].layout
    if name == "pairwise_matrix":  # Its axes are the strategies' names.
        assert set(FIGURES[name].data[0].x) == {"random", "margin", "outlier"}
    elif name == "embedding_animation":
        assert (layout.xaxis2.title.text, layout.yaxis2.title.text) == ("labels", "test accuracy")
    else:
        assert layout.xaxis.title.text
        without = ("per_class_accuracy", "match_percentiles", "gain_intervals")
        assert layout.yaxis.title.text or name in (*without, "critical_difference")


def test_colors_are_legible_on_white_and_on_near_black():
    colors = [
        *figures.STRATEGY_COLORS.values(),
        *figures.MODEL_COLORS.values(),
        *figures.INITIAL_COLORS.values(),
        *figures.MODE_COLORS.values(),
        *figures.CLASS_COLORS,
    ]
    for color in colors:
        assert 1.05 / (luminance(color) + 0.05) >= 3, color
        assert (luminance(color) + 0.05) / (luminance("#121212") + 0.05) >= 3, color
    assert len(set(figures.STRATEGY_COLORS.values())) == len(figures.STRATEGY_COLORS)
    assert len(set(figures.CLASS_COLORS)) == 10


def test_lines_are_the_means_of_the_seeds_and_bands_their_standard_errors():
    curves = make_curves()
    fig = figures.learning_curves(curves)
    for strategy, own in summarize(curves).groupby("strategy"):
        line = named(fig, strategy)
        assert list(line.x) == BUDGETS
        assert list(line.y) == pytest.approx(own["accuracy_mean"])
        band = next(t for t in fig.data if t.legendgroup == strategy and t.fill == "toself")
        top = own["accuracy_mean"] + own["accuracy_se"]
        assert list(band.y[:4]) == pytest.approx(top) and list(band.x[:4]) == BUDGETS
    assert "Mean of 4 seeds; band: standard error." in fig.layout.title.text


def test_a_summary_is_drawn_like_its_curves_and_the_range_on_demand():
    curves = make_curves()
    fig = figures.learning_curves(summarize(curves), band="range")
    band = next(t for t in fig.data if t.legendgroup == "outlier" and t.fill == "toself")
    best = curves.query("strategy == 'outlier'").groupby("n_labeled")["test_accuracy"].max()
    assert list(band.y[:4]) == pytest.approx(best)
    assert "lowest to highest seed" in fig.layout.title.text


def test_a_run_history_is_drawn_without_a_band():
    history = pd.DataFrame({"n_labeled": BUDGETS, "test_accuracy": [0.5, 0.6, 0.7, 0.8]})
    fig = figures.learning_curves({"outlier": history})
    assert [trace.name for trace in fig.data] == ["outlier"]
    assert "One seed." in fig.layout.title.text


def test_a_strategy_keeps_its_color_whatever_else_is_drawn():
    for strategies in (("outlier", "random"), ("mine", "random", "outlier", "badge")):
        fig = figures.learning_curves(make_curves(strategies))
        assert named(fig, "outlier").line.color == figures.STRATEGY_COLORS["outlier"]
        assert named(fig, "random").line.color == figures.STRATEGY_COLORS["random"]
        assert len({named(fig, name).line.color for name in strategies}) == len(strategies)


def test_few_lines_are_named_at_their_ends_and_names_keep_apart():
    fig = figures.learning_curves(make_curves(("random", "margin", "entropy", "outlier")))
    names = {note.text: note for note in fig.layout.annotations}
    assert set(names) == {"random", "margin", "entropy", "outlier"} and not fig.layout.showlegend
    low, high = fig.layout.yaxis.range
    plot = fig.layout.height - fig.layout.margin.t - 45
    heights = sorted(n.y * plot / (high - low) - n.ay for n in names.values())
    assert np.diff(heights).min() >= 12
    assert heights[-1] <= high * plot / (high - low)  # above stands the title
    assert fig.layout.margin.r >= 7 * len("entropy")


def test_many_lines_get_a_legend():
    fig = figures.learning_curves(make_curves(tuple(figures.STRATEGY_COLORS)))
    assert fig.layout.showlegend and not fig.layout.annotations


def test_lines_that_end_at_different_budgets_get_a_legend():
    curves = make_curves().query("strategy != 'margin' or n_labeled < 400")
    assert figures.learning_curves(curves).layout.showlegend


def test_baselines_and_published_curves_are_drawn_as_given():
    published = published_curves().query("dataset == 'mnist'")
    fig = figures.accuracy_against_share(
        make_curves(("cnn", "lenet5"), by="model"),
        60_000,
        baseline={"cnn": 0.99, "lenet5": 0.98},
        published=published,
    )
    assert list(named(fig, "CNN").x) == pytest.approx([n / 60_000 for n in BUDGETS])
    assert set(named(fig, "LeNet5, all labels").y) == {0.98}
    drawn = named(fig, "CNN as published")
    cnn = published.query("model == 'cnn'")
    assert list(drawn.y) == list(cnn["test_accuracy"])
    assert list(drawn.x) == pytest.approx(cnn["n_labeled"] / 60_000)
    assert drawn.line.color == figures.MODEL_COLORS["cnn"] and drawn.line.dash == "dot"


def test_the_map_draws_every_image_once_in_its_groups_shape():
    xy, asked, targets = make_map()
    groups = make_groups(asked)
    for color_by in ("group", "class"):
        fig = figures.embedding_map(
            xy, groups, classes=CLASSES, targets=targets, color_by=color_by, indices=range(100, 160)
        )
        seen = []
        for trace in fig.data:
            if trace.type != "scattergl":
                continue
            rows = np.asarray(trace.customdata) - 100
            seen += rows.tolist()
            assert np.column_stack([trace.x, trace.y]) == pytest.approx(xy[rows], abs=6e-4)
            (group,) = set(groups[rows])
            (name,) = {CLASSES[target] for target in targets[rows]}
            assert trace.marker.symbol == figures.GROUPS[group][1]["symbol"]
            assert name in trace.hovertemplate
            if color_by == "class":
                assert trace.marker.color == figures.CLASS_COLORS[CLASSES.index(name)]
            else:
                assert trace.marker.color == figures.GROUPS[group][1]["color"]
        assert sorted(seen) == list(range(60))
        assert (fig.layout.yaxis.scaleanchor, fig.layout.xaxis.visible) == ("x", False)


def test_the_crowd_lies_behind_in_whole_numbers_and_cannot_be_pointed_at():
    xy, asked, _ = make_map()
    crowd = np.arange(120_000, dtype=np.uint16).reshape(60_000, 2) // 200
    fig = figures.embedding_map(xy, make_groups(asked), "Seen", crowd=crowd)
    behind = fig.data[0]
    assert np.array_equal(np.column_stack([behind.x, behind.y]), crowd)
    assert behind.customdata is None and behind.hoverinfo == "skip"
    assert behind.legendgroup == "pool"
    assert "60,045 pool" in fig.layout.meta["alt"]
    # Sixteen bits a number in base64, or a few digits where Plotly 5 writes lists.
    assert len(fig.to_json()) < 500_000


def test_pixels_show_the_most_frequent_class_where_it_lies():
    xy = np.array([[0, 0, 0, 1023], [0, 0, 0, 1023]])
    fig = figures.class_maps({"CNN": (xy, np.array([0, 1, 1, 2]))}, {"CNN": list("abc")}, "Seen")
    (image,) = fig.layout.images
    png = base64.b64decode(image.source.partition(",")[2])
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))
    bottom, top = picture[319, 0], picture[0, 319]
    for pixel, color in ((bottom, figures.CLASS_COLORS[1]), (top, figures.CLASS_COLORS[2])):
        assert "#" + bytes(pixel[:3].tolist()).hex().upper() == color
    assert bottom[3] > top[3] > 0
    assert (picture[..., 3] > 0).sum() == 2
    assert {"CNN", "<b>a</b>", "<b>b</b>", "<b>c</b>"} == set(fig.data[0].text)
    with pytest.raises(AlodError, match="expected those of"):
        figures.class_maps({"CNN": (xy, np.zeros(4))}, {"LeNet5": ["a"]})


def test_a_name_in_the_legend_stands_for_all_points_of_its_group():
    xy, asked, targets = make_map()
    groups = make_groups(asked)
    by_group = figures.embedding_map(xy, groups, classes=CLASSES, targets=targets)
    by_class = figures.embedding_map(
        xy, groups, classes=CLASSES, targets=targets, color_by="class", note="UMAP"
    )
    animation = figures.embedding_animation(xy, asked, "T", CLASSES, targets)
    for fig in (by_group, by_class, animation):
        # A click isolates: what is not in the clicked name's legendgroup goes.
        assert fig.layout.template.layout.legend.itemclick == "toggleothers"
        names = {t.name: t.legendgroup for t in fig.data if t.showlegend is not False}
        points = {t.legendgroup for t in fig.data if t.type == "scattergl"}
        assert points <= set(names.values())
        assert all(name == group for name, group in names.items())
    assert "■ initial set, ◆ outliers, ★ core set" in by_class.layout.title.text.replace(
        "<br>", " "
    )
    for frame in animation.frames:
        assert sorted(frame.traces) == list(range(len(animation.data)))
        assert all(trace.visible for trace in frame.data)


def test_each_frame_marks_what_was_asked_before_now_and_later():
    xy, asked, targets = make_map()
    history = pd.DataFrame(
        {"round": range(3), "n_labeled": [5, 10, 15], "test_accuracy": [0.5, 0.6, 0.7]}
    )
    fig = figures.embedding_animation(xy, asked, "T", CLASSES, targets, history=history)
    symbols = {"before": "circle", "now": "diamond"}
    for now, frame in enumerate(fig.frames):
        marks, curve = frame.data[:3], frame.data[3]
        for round_, (mark, place) in enumerate(zip(marks, frame.traces, strict=False)):
            assert set(asked[np.asarray(fig.data[place].customdata)]) == {round_}
            assert mark.x is None
            label = "asked now" if round_ == now else "labeled" if round_ < now else "pool"
            assert mark.legendgroup == label
            if round_ <= now:
                assert mark.marker.symbol == symbols["now" if round_ == now else "before"]
            assert (mark.marker.opacity < 0.5) == (round_ > now)
        assert list(curve.y) == [0.5, 0.6, 0.7][: now + 1]
    assert fig.data[fig.frames[0].traces[0]].marker == fig.frames[0].data[0].marker
    (slider,) = fig.layout.sliders
    labels = [step.label for step in slider.steps]
    assert labels == ["round 0 · 5 labels", "round 1 · 10 labels", "round 2 · 15 labels"]
    assert [step.args[0][0] for step in slider.steps] == [frame.name for frame in fig.frames]


def test_ten_rounds_over_ten_thousand_images_weigh_less_than_a_megabyte():
    xy, asked, targets = make_map(10_000, 10)
    fig = figures.embedding_animation(xy, asked, "T", CLASSES, targets)
    assert len(fig.to_json()) < 1_000_000


def test_a_map_brings_its_images_and_the_batch_that_it_marks():
    xy, asked, targets = make_map()
    images = np.random.default_rng(1).integers(0, 256, (60, 28, 28), dtype=np.uint8)
    scores = np.where(asked == 0, np.nan, 0.25)
    given = {"images": images, "scores": scores, "indices": range(100, 160), "classes": CLASSES}
    fig = figures.embedding_map(
        xy, make_groups(asked), "T", targets=targets, asked_round=asked, **given
    )
    cards = fig.layout.meta["cards"]
    assert fig.layout.meta["alt"].startswith("T.")
    assert (cards["numbers"], cards["rounds"]) == (list(range(100, 160)), asked.tolist())
    assert [cards["names"][n] for n in cards["name"]] == [CLASSES[t] for t in targets]
    assert cards["batch"] == 1  # make_groups marks that round's images as outliers.
    assert cards["scores"] == [None if a == 0 else 0.25 for a in asked]
    only_first = np.where(asked == 0, "initial", "pool")
    first = figures.embedding_map(xy, only_first, asked_round=asked, images=images)
    assert first.layout.meta["cards"]["batch"] == 0
    moving = figures.embedding_animation(xy, asked, "T", targets=targets, **given)
    assert moving.layout.meta["cards"]["batch"] == 0
    assert "cards" not in figures.embedding_map(xy, only_first).layout.meta
    assert "batch" not in figures.embedding_map(xy, only_first, images=images).layout.meta["cards"]


def test_pictures_on_a_map_stand_above_their_points_and_are_framed_by_group():
    xy, groups = np.array([[0, 0], [0, 1], [3, 1.0]]), ["pool", "initial", "outlier"]
    images = np.zeros((3, 8, 8, 3), np.uint8)
    images[[0, 1, 2], :, :, [0, 1, 2]] = 250
    fig = figures.embedding_map(xy, groups, images=images, asked_round=[-1, 0, 1], pictures=True)
    source = fig.layout.images[0].source
    sheet = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))
    assert sheet.size == (fig.layout.images[0].sizex, fig.layout.images[0].sizey)
    points = {int(trace.customdata[0]): trace for trace in fig.data if trace.type == "scattergl"}
    frames = [GROUPS[group][1]["color"] for group in groups]
    for row, trace in points.items():
        x, foot = round(float(trace.x[0])), round(float(trace.y[0]))
        *color, alpha = sheet.getpixel((x, foot - 30))
        assert np.argmax(color) == row and (alpha < 200) == (row == 0)  # never asked for: faint
        frame = sheet.getpixel((x, foot - 2))
        wanted = [int(frames[row][i : i + 2], 16) for i in (1, 3, 5)]
        assert np.abs(np.array(frame[:3]) - wanted).max() < 40
    assert points[0].x[0] == points[1].x[0] < points[2].x[0]
    assert points[0].y[0] > points[1].y[0]  # the sheet's rows go down
    assert fig.layout.yaxis.range[0] > fig.layout.yaxis.range[1]


@pytest.mark.parametrize("shape", [(7, 28, 28), (7, 32, 32, 3)])
def test_the_grid_shows_the_images_themselves(shape):
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    fig = figures.image_grid(images, [f"{i}→9" for i in range(7)], columns=5)
    assert list(fig.data[0].text) == [f"{i}→9" for i in range(7)]
    (placed,) = fig.layout.images
    data = base64.b64decode(placed.source.partition("base64,")[2])
    sheet = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
    zoom, (h, w) = 2, shape[1:3]
    top, left = (
        round((h + 2) * zoom * 1.4) + zoom,
        (w + 2) * zoom + zoom,
    )  # Image 6: row 1, column 1.
    shown = sheet[top : top + h * zoom : zoom, left : left + w * zoom : zoom]
    expected = images[6] if len(shape) == 4 else np.repeat(images[6][..., None], 3, axis=2)
    assert np.array_equal(shown[..., :3], expected)
    assert sheet[0, 0, 3] == 0


def test_the_confusion_matrix_colors_errors_and_writes_counts():
    matrix = np.array([[9, 1, 0], [4, 6, 0], [0, 0, 10]])
    fig = figures.confusion_matrix(matrix, CLASSES)
    heat, text = fig.data
    assert np.array_equal(heat.z, [[0, 1, 0], [4, 0, 0], [0, 0, 0]])
    assert np.array_equal(heat.customdata, matrix)
    written = {(y, x): t for x, y, t in zip(text.x, text.y, text.text, strict=True)}
    assert written["coat", "shirt"] == "4" and written["bag", "bag"] == "10"
    assert "coat is taken for shirt (4 times)" in fig.layout.meta["alt"]


def test_the_pairwise_matrix_numbers_significant_differences_only():
    tests = make_tests().assign(p_holm=[0.2, 0.01, 0.05], mean_difference=[0.01, -0.04, 0.02])
    heat, text = figures.pairwise_matrix(tests).data
    assert np.allclose(heat.z, [[np.nan, 1, -4], [-1, np.nan, 2], [4, -2, np.nan]], equal_nan=True)
    assert set(zip(text.y, text.x, text.text, strict=True)) == {
        ("random", "outlier", "\N{MINUS SIGN}4.0"),  # row minus column, as the color
        ("outlier", "random", "+4.0"),
    }


def test_gains_are_drawn_with_their_interval_the_best_on_top():
    table = gains(make_curves())
    fig = figures.gain_intervals(table)
    for trace, row in zip(fig.data, table.to_dict("records"), strict=True):
        assert trace.x[0] == pytest.approx(100 * row["mean_difference"])
        assert trace.x[0] + trace.error_x.array[0] == pytest.approx(100 * row["high"])
        assert trace.x[0] - trace.error_x.arrayminus[0] == pytest.approx(100 * row["low"])
    assert list(fig.layout.yaxis.categoryarray) == ["margin", "outlier"]  # from the bottom up
    doubtful = figures.gain_intervals(table.assign(p_holm=[0.01, 0.2]))
    assert [trace.marker.symbol for trace in doubtful.data] == ["circle", "circle-open"]
    assert "4 seeds" in fig.layout.title.text.replace("<br>", " ")


def test_bars_are_the_seconds_of_the_history():
    bars = {bar.name: list(bar.y) for bar in FIGURES["seconds_per_round"].data}
    assert bars == {
        "training": [3, 4, 5],
        "reading the pool": [1, 1, 1],
        "choosing": [0.1, 0.1, 0.2],
    }


XY, ASKED, TARGETS = make_map()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: figures.learning_curves(make_curves().drop(columns="seed")), "without seed"),
        (
            lambda: figures.learning_curves(pd.concat([make_curves(), make_curves()])),
            "two rows for",
        ),
        (lambda: figures.learning_curves(make_curves(), band="std"), "unknown band"),
        (
            lambda: figures.learning_curves(make_curves(), published=published_curves()),
            "two rows for n_labeled 200",
        ),
        (lambda: figures.embedding_map(XY, ["pool"] * 59), r"groups of shape \(59,\)"),
        (lambda: figures.embedding_map(XY, ["inlier"] * 60), "unknown group 'inlier'"),
        (lambda: figures.embedding_map(XY.T, ["pool"] * 60), "coordinates of shape"),
        (lambda: figures.embedding_map(XY, ["pool"] * 60, color_by="class"), "without targets"),
        (lambda: figures.embedding_map(XY, ["pool"] * 60, asked_round=[0]), "asked_round of shape"),
        (
            lambda: figures.embedding_map(XY, ["pool"] * 60, images=np.zeros((60, 28, 28))),
            "float64",
        ),
        (lambda: figures.embedding_animation(XY, np.full(60, -1)), "at least one round"),
        (lambda: figures.embedding_animation(XY, ASKED.astype(float)), "float64"),
        (
            lambda: figures.embedding_animation(
                XY,
                ASKED,
                history=pd.DataFrame({"round": [0], "n_labeled": [5], "test_accuracy": [0.5]}),
            ),
            "from 0 to 2",
        ),
        (lambda: figures.image_grid(np.zeros((2, 28, 28)), ["a", "b"]), "float64"),
        (lambda: figures.image_grid(np.zeros((2, 28, 28), np.uint8), ["a"]), "captions"),
        (lambda: figures.confusion_matrix(np.eye(4), CLASSES), "confusion matrix of shape"),
        (lambda: figures.seconds_per_round(make_curves()), "fit_seconds"),
        (
            lambda: figures.pairwise_matrix(pd.concat([make_tests(), make_tests()])),
            "two rows for first",
        ),
    ],
)
def test_bad_tables_are_refused_in_one_line(call, message):
    with pytest.raises(AlodError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def ranked(ranks, apart):
    return pd.DataFrame(
        {
            "strategy": [f"mine{place}" for place in range(len(ranks))],
            "mean_rank": ranks,
            "n_settings": 6,
            "critical_difference": apart,
        }
    ).sample(frac=1, random_state=0)


def bars(fig):
    """Return the ends of the bars below the axis, each with its height."""
    (trace,) = (t for t in fig.data if t.line.width == 5)
    ends = [end for end in zip(trace.x, trace.y, strict=True) if end[0] is not None]
    return [(left, right, y) for (left, y), (right, _) in zip(ends[::2], ends[1::2], strict=True)]


def test_bars_join_who_is_less_than_the_critical_difference_apart():
    fig = figures.critical_difference(ranked([1.0, 1.5, 3.0, 3.5, 5.0, 7.0], 2.0))
    # A difference of exactly 2 is told apart; a bar within another is not drawn.
    assert [bar[:2] for bar in bars(fig)] == [(1.0, 1.5), (1.5, 3.0), (3.0, 3.5), (3.5, 5.0)]
    assert "Not told apart: mine0 to mine1; mine1 to mine2" in fig.layout.meta["alt"]
    assert not bars(figures.critical_difference(ranked([1.0, 2.0], 0.5)))
    (whole,) = bars(figures.critical_difference(ranked([1.0, 2.0, 3.0], 40.0)))
    assert whole[:2] == (1.0, 3.0)
    with pytest.raises(AlodError, match="two rows for strategy"):
        figures.critical_difference(ranked([1.0, 2.0], 0.5).assign(strategy="mine"))


@pytest.mark.parametrize("n", [2, 5, 20])
def test_a_rank_leads_to_its_name_and_no_line_or_name_lies_on_another(n):
    rng = np.random.default_rng(n)
    table = ranked(np.sort(rng.uniform(1, n, n)), 2.5)
    fig = figures.critical_difference(table)
    left, right = fig.layout.xaxis.range
    lines = {t.name: t for t in fig.data if t.mode == "lines+markers"}
    assert {name: line.x[0] for name, line in lines.items()} == dict(
        zip(table["strategy"], table["mean_rank"], strict=True)
    )
    texts = {note.text.split()[0]: note for note in fig.layout.annotations if note.xshift}
    for name, line in lines.items():
        assert texts[name].y == line.y[1] == line.y[2] and texts[name].x == line.x[2]
        assert line.y[1] < min((y for *_, y in bars(fig)), default=0)
    for edge in (left, right):
        heights = np.sort([line.y[2] for line in lines.values() if line.x[2] == edge])
        assert (np.diff(heights) >= 17).all()
        # Further from the edge is deeper: a line that goes down crosses none that goes aside.
        own = sorted(
            (abs(line.x[0] - edge), -line.y[2]) for line in lines.values() if line.x[2] == edge
        )
        assert [depth for _, depth in own] == sorted(depth for _, depth in own)
    # The plot is as high in px as in its own units, and so is the room for names beside it.
    assert np.ptp(fig.layout.yaxis.range) == pytest.approx(
        fig.layout.height - fig.layout.margin.t - 8, abs=1
    )
    assert min(fig.layout.margin.l, fig.layout.margin.r) >= 6 * len("mine10 10.0")


def test_panels_show_each_curve_above_the_reference_by_seed():
    curves = make_curves(("random", "outlier", "margin", "badge"))
    fig = figures.learning_panels(curves, columns=2)
    wide = curves.pivot_table("test_accuracy", ["n_labeled", "seed"], "strategy")
    shown = [trace for trace in fig.data if trace.name]
    assert [trace.name for trace in shown] == ["outlier", "margin", "badge"]
    assert [(t.xaxis, t.yaxis) for t in shown] == [("x", "y"), ("x2", "y"), ("x", "y2")]
    for trace in shown:
        above = 100 * (wide[trace.name] - wide["random"])
        mean, error = above.groupby("n_labeled").mean(), above.groupby("n_labeled").sem()
        assert list(trace.y) == pytest.approx(mean.tolist(), abs=1e-3)
        band = fig.data[fig.data.index(trace) - 1]
        assert list(band.y[:4]) == pytest.approx((mean + error).tolist(), abs=2e-3)
        behind = fig.data[fig.data.index(trace) - 2]
        assert len(behind.x) == 3 * 5  # all three, and gaps between them
    assert {note.text for note in fig.layout.annotations} == {"outlier", "margin", "badge"}
    low, high = fig.layout.yaxis.range
    assert low < 0 < high and fig.layout.yaxis2.range == fig.layout.yaxis.range
    # Below the shorter column, the axis stands where that ends.
    assert (fig.layout.xaxis.anchor, fig.layout.xaxis2.anchor) == ("y2", "y")


def test_panels_need_the_reference_and_one_setting():
    with pytest.raises(AlodError, match="no seed and budget of badge and another"):
        figures.learning_panels(make_curves(), "badge")
    with pytest.raises(AlodError, match="two rows for"):
        figures.learning_panels(pd.concat([make_curves(), make_curves()]))


def test_arrows_lead_from_a_query_without_the_filter_to_the_same_with_it():
    fig = FIGURES["filter_and_query"]
    arrows = {(note.ax, note.ay): (note.x, note.y) for note in fig.layout.annotations if note.ax}
    assert arrows == {(0.6, 0.90): (0.2, 0.92), (0.5, 0.91): (0.1, 0.93)}
    above = {trace.name: trace for trace in fig.data if trace.xaxis in (None, "x")}
    assert list(above["outlier"].marker.symbol) == ["circle-open", "circle"]
    assert [name for name, trace in above.items() if trace.showlegend] == ["random"]
    assert "outlier 60% and 20%, margin 50% and 10%, random 30%." in fig.layout.meta["alt"]
    below = {trace.y[0]: trace for trace in fig.data if trace.xaxis == "x2"}
    (gain,) = gains(make_curves(("outlier", "margin")), "outlier")["mean_difference"]
    assert below["margin"].x[0] == pytest.approx(100 * gain) and below["outlier"].x[0] == 0
    for name, trace in below.items():
        assert trace.marker.color == figures.STRATEGY_COLORS[name]
        assert above[name].marker.color == figures.STRATEGY_COLORS[name]
