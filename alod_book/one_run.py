"""What one run did, image by image, as maps and grids show it.

Parameters
----------
data : Dataset
    What the run ran on, N images.
run : Run
    A finished run.

Examples
--------
>>> import alod
>>> data = alod.load_dataset("mnist_mini")
>>> config = alod.ExperimentConfig(
...     model="lenet5", n_initial=20, n_query=10, rounds=1, steps=5, keep_embeddings=True
... )
>>> run = alod.run_experiment(config, "run", data, on_round=lambda row: None)
>>> rounds = asked_rounds(run, len(data.images))
>>> [int((rounds == number).sum()) for number in (0, 1, -1)]
[20, 10, 5970]
>>> bool(np.isnan(scores_when_asked(run, data)[run.asked(0)]).all())
True
>>> pixels(data, [3, 1]).shape
(2, 28, 28)
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from alod.data.arrays import Dataset
    from alod.experiments.run import Run


def pixels(data: "Dataset", indices: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return images as figures take them, channels last: uint8 (n, H, W) or (n, H, W, 3).

    Parameters
    ----------
    indices : ndarray of int (n,)
        Which of them.
    """
    images = data.images[indices].numpy()
    return images[:, 0] if images.shape[1] == 1 else np.moveaxis(images, 1, -1)


def asked_rounds(run: "Run", n_images: int) -> NDArray[np.int64]:
    """Return the round in which each of `n_images` was asked for, as int64 (N,).

    0 for the initial set, -1 where an image never was.
    """
    rounds = np.full(n_images, -1, dtype=np.int64)
    rounds[run.queries["index"]] = run.queries["round"]
    return rounds


def scores_when_asked(run: "Run", data: "Dataset") -> NDArray[np.float64]:
    """Return how outlying each image was to the classifier: when asked for, else at first.

    The run has ``keep_embeddings=True``.

    Returns
    -------
    ndarray of float (N,)
        Contrast of the distances to the two nearest classes, in [0, 1]: as the first query saw it
        for what was never asked for; the query's own score for what was; NaN for the initial set.
    """
    import torch

    from alod import outliers

    embeddings, first = torch.as_tensor(run.embeddings["first"]), run.asked(0)
    scores, _ = outliers.class_contrast(embeddings[first], data.targets[first], embeddings)
    scores[run.queries["index"]] = run.queries["score"]
    return scores
