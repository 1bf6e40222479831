"""Where a number comes from: versions, git commit, machine."""

import os
import platform
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("alod", "torch", "torchvision", "numpy", "scikit-learn", "pyod", "pandas")


def provenance() -> dict[str, object]:
    """Describe the software and machine that computes right now.

    ``versions`` (package -> version, Python included), ``git_commit`` (40 hex digits, with ``+``
    where the working tree differs from it; None outside a checkout), ``machine`` (platform,
    processor, cores), ``time`` (UTC, ISO 8601).

    >>> sorted(provenance())
    ['git_commit', 'machine', 'time', 'versions']
    """
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    machine = {"platform": platform.platform(), "processor": _processor(), "cores": os.cpu_count()}
    return {
        "versions": versions,
        "git_commit": _git_commit(Path(__file__).resolve().parents[2]),
        "machine": machine,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _git_commit(root: Path) -> str | None:
    if not (root / ".git").exists():  # installed from an archive
        return None

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
