"""The report of `harness doctor` as people read it, from the document that is its JSON."""

from __future__ import annotations

from harness.report.doctor_text import doctor_text

CHECK = {
    "group": "processor",
    "name": "turbo",
    "state": "warn",
    "found": "on",
    "value": True,
    "advice": "Turn it off. " * 20,
}
NOISE = {
    "workload": "digits-baseline", "blocks": 60, "starts": 12, "time_s": 0.2, "took_s": 58.0, "run_sd": {"within": 0.01, "between": None},
    "pair_sd": {"within": 0.012, "between": 0.0}, "ratio": {"value": 1.001, "ci95": [0.99, 1.01]}, "start_sd": 0.006,
    "start_sd_ci95": [0.004, 0.012], "alpha": 0.05, "power": 0.9,
    "false_alarms": {"name": "time", "rate": 0.05, "repeats": 4096, "exhaustive": False},
    "reach": [{"seeds": 25, "starts": 5, "detectable": 0.0123, "range": [0.008, None]}],
    "need": [
        {"effect": 0.01, "starts": 9, "range": [5, 30], "seeds": 45, "blocks_per_start": 5},
        {"effect": 0.05, "starts": None, "range": [None, None], "seeds": None, "blocks_per_start": 5},
    ],
}  # fmt: skip
DOCUMENT = {"host": "box", "state": "warn", "checks": [CHECK], "noise": NOISE, "noise_reason": ""}


def test_every_number_that_a_plan_needs_stands_in_it() -> None:
    text = doctor_text(DOCUMENT)
    assert text.startswith("box: times can be taken here, with care")
    for words in (
        "60 blocks in 12 process starts, 0.2 s a run, 58 s in all", "by an unknown share", "0.6 % (0.4 % to 1.2 %)",
        "1.0010× [0.9900, 1.0100]",
        "5.0 % of 4096 random swaps", "25 seeds an arm in  5 process starts: 1.2 % (unknown)", "to see 1 %: 9 process starts (5 to 30)",
        "--seeds 45 --set invocations=9", "to see 5 %: no number of process starts will do",
    ):  # fmt: skip
        assert words in text, f"{words!r} is not in\n{text}"
    assert max(map(len, text.splitlines())) <= 140


def test_colours_are_only_where_they_were_asked_for() -> None:
    assert "\x1b[" not in doctor_text(DOCUMENT) and "\x1b[33mwarn" in doctor_text(DOCUMENT, colour=True)


def test_what_could_not_be_said_has_its_reason() -> None:
    assert "noise floor: unknown: it broke" in doctor_text(DOCUMENT | {"noise": None, "noise_reason": "it broke"})
    alarm = {"name": "time", "reason": "too few invocations: 3"}
    assert "cannot be said: too few invocations: 3" in doctor_text(
        DOCUMENT | {"noise": NOISE | {"false_alarms": alarm}}
    )
