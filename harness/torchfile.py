"""Files that `torch.save` wrote, read without running anything in them. torch is imported only when one is read."""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path
from typing import Any

from harness.errors import StoreError, UsageError, install


def read_plain(path: Path) -> Any:
    """Tensors, numbers, texts, and lists and tables of them.

    A file that asks for anything else (which could be code) is refused before it gets it: `weights_only` of torch.load.
    Raises UsageError for such a file and where torch is not installed, StoreError for a damaged one.
    """
    try:
        import torch
    except ImportError:
        raise UsageError(f"{path}: reading it needs torch: {install('train')}.") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as problem:
        raise UsageError(
            f"{path}: refused, and nothing in it was run: it holds more than numbers, texts and tables of them, which opening "
            f"it would have to run{_asked(str(problem))}. Ask whoever wrote it for the numbers alone, as JSON Lines or CSV."
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError) as problem:
        raise StoreError(
            f"{path}: cannot be read as a file of torch.save: {_reason(problem)}. Copy it again."
        ) from None


def _asked(problem: str) -> str:
    """What the file asked for; not torch's advice to give it that."""
    found = re.search(r"GLOBAL (\S+)", problem)
    return f" (it asks for {found[1]})" if found else ""


def _reason(problem: BaseException) -> str:
    """The first sentence of what torch found."""
    return " ".join(str(problem).split()).partition(". ")[0][:200].rstrip(".") or type(problem).__name__
