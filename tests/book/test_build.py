"""The book is built by one command, which says in one line what it cannot do."""

import subprocess
import sys


def test_the_command_refuses_in_one_line():
    command = [sys.executable, "-m", "alod_book.build", "--scale", "huge"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: unknown scale 'huge'")
    assert done.stderr.count("\n") == 1
