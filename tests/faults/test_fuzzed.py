"""A short, seeded run of `python -m benchmarks.fuzz`, and every input that it once ended badly with."""

from __future__ import annotations

import pytest

from benchmarks.fuzz import DEEP, TARGETS, limited, tried
from harness.errors import HarnessError

NAMES = {target.name: target for target in TARGETS}
FOUND = {
    "experiment TOML": [
        "x = " + "9" * 5000,
        "a" + ".a" * 3000 + " = 1",
        'trainer = "digits"\n[sweep]\ngrid = [1]\n',
        'trainer = "digits"\n[presets.p]\nconfig = 3\n',
        'trainer = "digits"\narms = [1]\n',
        'trainer = "x\\u0000.py"\n',
        f'trainer = "{"x" * 300}.py"\n',
        f'trainer = "digits"\nextends = "{"x" * 300}"\n',
        'trainer = "digits"\n[sweep.grid]\n' + "".join(f"k{i} = [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" for i in range(12)),
    ],
    "experiment YAML": [
        "a: !!bool maybe",
        "a: !!int ''",
        "a: !!timestamp x",
        "a: &a [*a]",
        "[" * 100_000,
        DEEP[7],
        "trainer: digits\nsweep:\n  grid: [10, 20]\n",
    ],
    "gate.toml": ['history = "\\u0000"\n[[checks]]\nname = "a"\ncontrol = "x"\ncandidate = "y"\n', "x = " + "[" * 3000],
    "--set": [["lr=" + "9" * 5000], ["lr=" + "[" * 3000], ["steps=1\nfoo = 2"]],
    "CSV import": ['seed,accuracy\n1,"0.5\n2,0.6\n', "seed,accuracy\n" + "9" * 400 + ",0.5\n"],
}


@pytest.mark.parametrize(
    ("name", "found"), [(name, found) for name, all_ in FOUND.items() for found in all_], ids=lambda x: str(x)[:24]
)
def test_what_once_ended_badly_is_refused_in_words(name, found, tmp_path):
    with limited(10.0), pytest.raises(HarnessError) as refused:
        NAMES[name].read(found, tmp_path)
    assert str(refused.value).strip()


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_only_refusals_come_out(target):
    """A crash, an input that takes more than ten seconds, or another exception ends this with the smallest such input."""
    inputs, refused = tried(target, examples=25, seed=20)
    assert inputs >= 20
    assert refused > 0 or target.name in ("JSON of a store and a gate", "runs.csv", "worker's answer", "command line")


def test_a_crash_is_noticed(tmp_path):
    from hypothesis import strategies as st

    from benchmarks.fuzz import Target

    def read(text: str, folder: object) -> object:
        return text.encode("ascii")

    with pytest.raises(UnicodeEncodeError):
        tried(Target("none", st.text(), read), examples=200, seed=1)
