"""Curves of which a test knows what they have to say."""

import numpy as np
import pandas as pd

STRATEGIES = ("random", "margin", "outlier_topk", "original_meant", "outlier")


def race_curves(lead=0.03):
    """Five strategies, four seeds; outlier leads, the literal one and the original's lag."""
    rng = np.random.default_rng(0)
    height = dict(zip(STRATEGIES, (0, 0.01, -0.02, -0.01, lead), strict=True))
    return pd.DataFrame(
        [
            {
                "dataset": "mnist",
                "model": "lenet5",
                "strategy": strategy,
                "seed": seed,
                "n_labeled": n,
                "test_accuracy": 0.7 + 0.1 * i + height[strategy] + rng.normal(0, 0.001),
            }
            for strategy in STRATEGIES
            for seed in range(4)
            for i, n in enumerate([50, 100, 200])
        ]
    )


def unclean_curves():
    """The race on a pool of which random buys a fifth, margin half, outlier a twentieth."""
    share = {"random": 0.2, "margin": 0.5, "outlier": 0.05}
    curves = race_curves()
    curves = curves[curves["strategy"].isin(share)]
    return curves.assign(n_foreign=curves["strategy"].map(share) * curves["n_labeled"])


def title(fig):
    return fig.layout.title.text.partition("<span")[0].replace("<br>", " ").strip()
