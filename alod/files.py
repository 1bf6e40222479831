"""Files appear whole or not at all, and what the disk refuses is told in one line."""

import errno
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from alod.errors import AlodError

UNWRITABLE = "give a file in a folder that exists and can be written"
# What mounts answer that lack a call: network shares, containers, archives.
_LACKING = {errno.EINVAL, errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}


def write_atomically(
    path: Path, content: str | bytes, mend: str = "free space or access, then do it again"
) -> None:
    """Write a file so that a reader, or a kill at any moment, sees the old or the new, never half.

    Text becomes UTF-8; the folder must exist. What the disk refuses is told with `mend`.
    """
    data = content.encode() if isinstance(content, str) else content
    with refusing(path, mend):
        try:
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        except OSError as error:
            error.filename = None  # that name says nothing to a reader
            raise
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                sync(file.fileno())
            # mkstemp makes files private; a result is as readable as any file its owner writes.
            with suppress(OSError):
                temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def sync(handle: int) -> None:
    """Wait until an open file or folder is on the disk, where the mount can tell."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _LACKING:
            raise


@contextmanager
def lock_run(path: Path, patience: float = -1) -> Iterator[None]:
    """Let one process at a time write to a run folder; a killed one lets go.

    Wait `patience` seconds for another process, then refuse; as long as it takes if negative. On a
    mount without locks go on without, and say so once.
    """
    lock = FileLock(path / ".lock", timeout=patience)
    with refusing(path, "give a folder that can be written"):
        try:
            lock.acquire()
        except Timeout:
            raise AlodError(
                f"{path}: another process has been writing to this run for {patience} s; wait for "
                "it, or end it, and try again"
            ) from None
        except (OSError, NotImplementedError) as error:  # the latter by older filelock
            if getattr(error, "errno", errno.ENOSYS) not in _LACKING:
                raise
            _say_unlocked(path)
    try:
        yield
    finally:
        lock.release()


@cache
def _say_unlocked(path: Path) -> None:
    warnings.warn(
        f"{path}: lies on a mount without locks; let one process at a time write to it",
        stacklevel=2,
    )


@contextmanager
def refusing(path: Path, mend: str) -> Iterator[None]:
    """Turn an OSError inside the block, on reading or writing `path`, into one line with `mend`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise AlodError(f"{error.filename or path}: {reason.lower()}; {mend}") from error
