"""Files appear whole or not at all, and what the disk refuses is told in one line."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alod.errors import AlodError


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader, or a kill at any moment, sees the old or the new, never half.

    Parameters
    ----------
    path : Path
        Where; its folder must exist.
    content : str or bytes
        Text is written as UTF-8.
    """
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; a result is as readable as any file its owner writes.
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def refusing(path: Path, mend: str) -> Iterator[None]:
    """Turn what the file system refuses inside the block into one clear line.

    Parameters
    ----------
    path : Path
        What is read or written.
    mend : str
        What to do about it.

    Raises
    ------
    AlodError
        For any :class:`OSError`: a full disk, no permission, a folder that is gone.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise AlodError(f"{error.filename or path}: {reason.lower()}; {mend}") from error
