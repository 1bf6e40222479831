import pytest

import alod
from alod_book import chapters

CONFIG = alod.ExperimentConfig(
    model="lenet5", n_initial=30, n_query=10, rounds=2, steps=30, keep_embeddings=True
)


@pytest.fixture(scope="session")
def run(mini, tmp_path_factory):
    """A finished run on 600 digits."""
    return alod.run_experiment(CONFIG, tmp_path_factory.mktemp("book") / "run", data=mini)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with one chapter, found in place of the real one."""
    (tmp_path / "book").mkdir()
    (tmp_path / "_toc.yml").write_text("format: jb-book\n")
    monkeypatch.setattr(chapters, "__file__", str(tmp_path / "alod_book" / "chapters.py"))
    return tmp_path
