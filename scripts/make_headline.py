"""Draw the README's figure from a recorded result, as an SVG for light and dark pages.

Beside it goes a PNG, which is shown with links to the book.

``python scripts/make_headline.py book/results/strategies.csv``
"""

import argparse
import base64
import json
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import plotly
from check_book import FLAGS, browser_path
from playwright.sync_api import sync_playwright

from alod_book import figures

# As many as can be told apart without a legend.
SHOWN = ["random", "outlier_topk", "margin", "outlier"]
ROOT = Path(__file__).resolve().parent.parent
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
# Half-way between the text colors of a white and a black page; both leave it a contrast of 4:1.
TEXT = "#7a7f87"


def headline(curves: pd.DataFrame) -> dict[str, object]:
    """Return the figure of one setting as plain JSON, its title and note saying what is seen."""
    (dataset,), (model,) = curves["dataset"].unique(), curves["model"].unique()
    end = curves[curves["n_labeled"] == curves["n_labeled"].max()]
    mean = end.groupby("strategy")["test_accuracy"].mean()
    fig = figures.learning_curves(
        curves,
        title=f"{end['n_labeled'].iloc[0]:,} labels chosen by outlier query: {mean['outlier']:.1%} "
        f"right; chosen at random: {mean['random']:.1%}",
    )
    fig.update_layout(font_color=TEXT, width=760)
    fig.add_annotation(
        text=f"{figures.DATASET_NAMES[dataset]}, {figures.MODEL_NAMES[model]}, pool of 60,000",
        x=1, xref="paper", xanchor="right", y=0.02, yref="paper", showarrow=False,
    )  # fmt: skip
    figure: dict[str, object] = json.loads(fig.to_json())
    return figure


def main() -> None:
    """Read a table, write the SVG."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path, help="a recorded result, CSV")
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--model", default="lenet5")
    parser.add_argument("--out", type=Path, default=ROOT / ".github" / "headline.svg")
    given = parser.parse_args()
    curves = pd.read_csv(given.table)
    setting = curves.query("dataset == @given.dataset and model == @given.model")
    figure = headline(setting[setting["strategy"].isin(SHOWN)])
    draw = "async ([figure, how]) => Plotly.toImage(figure, how)"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=FLAGS)
        page = browser.new_page()
        page.add_script_tag(path=str(PLOTLY))
        address = page.evaluate(draw, [figure, {"format": "svg"}])
        layout = figure["layout"] | {"paper_bgcolor": "#fff", "width": 800, "height": 420}  # type: ignore[operator]
        how = {"format": "png", "width": 800, "height": 420, "scale": 1.5}
        preview = page.evaluate(draw, [figure | {"layout": layout}, how])
        browser.close()
    given.out.write_text(unquote(address.partition(",")[2]) + "\n", encoding="utf-8")
    given.out.with_suffix(".png").write_bytes(base64.b64decode(preview.partition(",")[2]))
    print(given.out)


if __name__ == "__main__":
    main()
