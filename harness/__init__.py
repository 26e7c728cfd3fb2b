"""A statistical benchmarking harness for training runs: is this change really faster, or better?

from harness import load, compare, ExperimentLogger
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["ExperimentLogger", "__version__", "compare", "load"]

if TYPE_CHECKING:
    from harness.api import compare, load
    from harness.logger import ExperimentLogger


def __getattr__(name: str) -> Any:
    """The public names, imported on first use so that `import harness` costs nothing."""
    if name in ("load", "compare"):
        from harness import api

        return getattr(api, name)
    if name == "ExperimentLogger":
        from harness.logger import ExperimentLogger

        return ExperimentLogger
    raise AttributeError(f"module 'harness' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
