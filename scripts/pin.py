"""Set what chapters install in Colab, and where they read tables: a tag, or ``main``.

``python scripts/pin.py v0.1.0`` rewrites the branch in ``_config.yml``, where Colab's button takes
it from, the install lines of the chapters and of README.md, and the address of the recorded tables.
``tests/book/test_pages.py`` holds them together.
"""

import argparse
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def pinned(text: str, repository: str, ref: str) -> str:
    """Return a page's or a module's `text`, pointing at `ref` of the `repository`, owner/name."""
    at = "" if ref == "main" else f"@{ref}"
    text = re.sub(rf"(git\+https://github\.com/{repository})(@[\w.-]+)?", rf"\g<1>{at}", text)
    for before in (
        f"https://raw.githubusercontent.com/{repository}/",
        f"https://colab.research.google.com/github/{repository}/blob/",
    ):
        text = re.sub(rf"({re.escape(before)})[\w.-]+", rf"\g<1>{ref}", text)
    return text


def files() -> list[Path]:
    """Return what points at the repository."""
    pages = [*sorted((ROOT / "book").glob("*.ipynb")), *sorted((ROOT / "book").glob("*.md"))]
    return [*pages, ROOT / "README.md", ROOT / "alod_book" / "results.py"]


def main() -> None:
    """Rewrite all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ref", help="v0.1.0, or main")
    ref = parser.parse_args().ref
    config = ROOT / "_config.yml"
    text = config.read_text()
    repository = re.findall(r"^ +url: https://github\.com/([\w.-]+/[\w.-]+)$", text, re.M)[0]
    config.write_text(re.sub(r"^( +branch: )\S+$", rf"\g<1>{ref}", text, count=1, flags=re.M))
    for path in files():
        path.write_text(pinned(path.read_text(), repository, ref))


if __name__ == "__main__":
    main()
