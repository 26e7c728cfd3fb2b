"""Questions to the file system whose answer is no error: a name that no file can have names no file."""

from __future__ import annotations

import errno
from pathlib import Path

IMPOSSIBLE = (errno.ENAMETOOLONG, errno.EILSEQ)


def is_file(path: Path) -> bool:
    """Whether there is a file of that name; also False where the name is too long or holds a NUL. Raises OSError."""
    try:
        return path.is_file()
    except ValueError:
        return False
    except OSError as problem:
        if problem.errno in IMPOSSIBLE:
            return False
        raise


def is_folder(path: Path) -> bool:
    """Whether there is a folder of that name, with the same patience."""
    try:
        return path.is_dir()
    except ValueError:
        return False
    except OSError as problem:
        if problem.errno in IMPOSSIBLE:
            return False
        raise
