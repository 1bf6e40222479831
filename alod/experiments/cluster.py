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
        needs = "needs the package distributed; pip install 'alod[cluster]'"
        raise AlodError(f"dask={address!r}: {needs}") from None
    try:
        return Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        told = f"no scheduler there ({one_line(error)}); start one: dask scheduler"
        raise AlodError(f"dask={address!r}: {told}") from None


def check_workers(client: Any, out: Path) -> None:
    """Refuse a cluster without workers, or with some that cannot do their part or see `out`."""
    address = client.scheduler.address
    try:
        seen = client.run(_sees, out)
    except Exception as error:
        told = f"a worker cannot import alod ({one_line(error)}); install it there"
        raise AlodError(f"dask={address!r}: {told}") from None
    if sum(client.nthreads().values()) < 2:
        # With one, joblib computes in this process and leaves the cluster idle.
        mend = f"start at least two: dask worker {address}"
        raise AlodError(f"dask={address!r}: has {len(seen)} workers; {mend}")
    blind = [worker for worker, sees in seen.items() if not sees]
    if blind:
        mend = "choose a folder that all machines share"
        raise AlodError(f"out={str(out)!r}: {blind[0]} does not see it; {mend}")


def _sees(out: Path) -> bool:
    return out.is_dir()
