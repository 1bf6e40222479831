"""A Dask cluster that computes a sweep, checked before anything is computed."""

from pathlib import Path
from typing import Any

from alod.errors import AlodError, one_line

CONNECT_SECONDS = 10


def connect(address: str) -> Any:
    """Return a client of the Dask scheduler at `address`."""
    try:
        from distributed import Client
    except ImportError:
        raise AlodError(
            f"dask={address!r}: needs the package distributed; pip install 'alod[cluster]'"
        ) from None
    try:
        return Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise AlodError(
            f"dask={address!r}: no scheduler there ({one_line(error)}); start one: dask scheduler"
        ) from None


def check_workers(client: Any, out: Path) -> None:
    """Refuse a cluster without workers, or with some that cannot do their part or see `out`."""
    address = client.scheduler.address
    try:
        seen = client.run(_sees, out)
    except Exception as error:
        raise AlodError(
            f"dask={address!r}: a worker cannot import alod ({one_line(error)}); install it there"
        ) from None
    if sum(client.nthreads().values()) < 2:
        # With one, joblib computes in this process and leaves the cluster idle.
        raise AlodError(
            f"dask={address!r}: has {len(seen)} workers; start at least two: dask worker {address}"
        )
    blind = [worker for worker, sees in seen.items() if not sees]
    if blind:
        raise AlodError(
            f"out={str(out)!r}: {blind[0]} does not see it; choose a folder that all machines share"
        )


def _sees(out: Path) -> bool:
    return out.is_dir()
