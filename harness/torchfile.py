"""Files that `torch.save` wrote, read without running anything in them. torch is imported only when one is read."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from harness.errors import StoreError, UsageError


def read_plain(path: Path) -> Any:
    """Tensors, numbers, texts, and lists and tables of them.

    A file that asks for anything else (which could be code) is refused before it gets it: `weights_only` of torch.load.
    Raises UsageError for such a file and where torch is not installed, StoreError for a damaged one.
    """
    try:
        import torch
    except ImportError:
        raise UsageError(f"{path}: reading it needs torch: pip install 'speedrun-harness[train]'.") from None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as problem:
        raise UsageError(
            f"{path}: refused, and nothing in it was run: it holds more than numbers, texts and tables of them, which opening "
            f"it would have to run ({_reason(problem)}). Ask whoever wrote it for the numbers alone, as JSON Lines or CSV."
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError) as problem:
        raise StoreError(
            f"{path}: cannot be read as a file of torch.save: {_reason(problem)}. Copy it again."
        ) from None


def _reason(problem: BaseException) -> str:
    """What torch found, without its advice to open the file all the same."""
    text = " ".join(str(problem).split())
    for mark in ("WeightsUnpickler error: ", "Weights only load failed. "):
        text = text.rpartition(mark)[2] if mark == "WeightsUnpickler error: " else text.replace(mark, "")
    return (
        text.partition(" Please ")[0].partition(" Check the documentation")[0][:200].rstrip(" .")
        or type(problem).__name__
    )
