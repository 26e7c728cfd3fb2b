"""A process that says what a trainer declares, so that a revision's module never meets the working tree's of the same name.

`python -P -m harness.describe` reads one JSON request on standard input: `ref` of the trainer, `root` to import it from, and
`config` (null: describe the trainer; else check that configuration). The pickled answer leaves on standard output.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.errors import HarnessError, TrainerError
from harness.plugins import build_config, load_trainer, planned_steps, trainer_info


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a trainer prints at its import is no answer
    request = json.loads(sys.stdin.read())
    try:
        answer = told(request)
    except HarnessError as problem:
        answer = {"error": str(problem)}
    except Exception as problem:  # noqa: BLE001 - whatever a trainer's module raises
        answer = {"error": f"{type(problem).__name__}: {problem}"}
    with answers:
        pickle.dump(answer, answers)


def told(request: Mapping[str, Any]) -> dict[str, Any]:
    """The trainer's description without its objects (a class of another revision has no name here), or what it says of `config`."""
    if request["root"]:
        sys.path.insert(0, request["root"])
    info = trainer_info(request["ref"])
    config = request["config"]
    if config is None:
        plans = info.config_class is not None and hasattr(load_trainer(info.ref), "planned_steps")
        asks = plans or info.check is not None
        return {"info": replace(info, config_class=None, check=None), "asks": asks}
    if info.check is not None:
        info.check(config)
    if info.config_class is not None and not info.open_ended:
        try:
            build_config(info.config_class, config)
        except (TypeError, ValueError) as problem:
            raise TrainerError(str(problem)) from problem
    return {"steps": planned_steps(info, config)}


if __name__ == "__main__":
    main()
