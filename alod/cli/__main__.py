"""``python -m alod.cli`` is ``alod``."""

from alod.cli import main

main()
