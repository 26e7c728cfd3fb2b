"""Where a run comes from: its code's revision, its device, its software. Importing this loads nothing heavy."""

from harness.provenance.environment import describe_environment, fingerprint, row_fields
from harness.provenance.git import GitState, git_state
from harness.provenance.gpu import THROTTLE_REASONS, Gpu, Sample, Telemetry, close, list_gpus, visible_gpus
from harness.provenance.software import (
    DEFAULT_LIBRARIES,
    cpu_facts,
    cpu_name,
    host_name,
    installed,
    installed_everything,
    kernel,
    machine_id,
    python_version,
    torch_build,
)

__all__ = [
    "DEFAULT_LIBRARIES",
    "THROTTLE_REASONS",
    "GitState",
    "Gpu",
    "Sample",
    "Telemetry",
    "close",
    "cpu_facts",
    "cpu_name",
    "describe_environment",
    "fingerprint",
    "git_state",
    "host_name",
    "installed",
    "installed_everything",
    "kernel",
    "list_gpus",
    "machine_id",
    "python_version",
    "row_fields",
    "torch_build",
    "visible_gpus",
]
