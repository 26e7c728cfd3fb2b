"""How many runs a ladder's stages add, and how many arms go on."""

from __future__ import annotations

import pytest

from harness.design.ladder import Ladder, parse_ladder
from harness.errors import UsageError


@pytest.mark.parametrize(
    ("share", "arms", "kept"),
    [("1/3", 35, 10), ("1/3", 7, 3), ("1/3", 6, 2), ("1/3", 2, 1), ("1/3", 1, 1), ("2/3", 9, 6), ("4", 9, 4), ("12", 35, 12), ("4", 3, 3)],
)  # fmt: skip
def test_a_share_is_rounded_up_and_ends_at_ten_and_a_number_is_one(share: str, arms: int, kept: int) -> None:
    assert Ladder(keep=(share, "1")).kept(0, arms) == kept


def test_the_default_is_25_200_1000_and_a_third_then_one() -> None:
    plan = parse_ladder(None, None)
    assert plan.stages == (("screen", 25), ("confirm", 200), ("final", 1000))
    assert (plan.kept(0, 9), plan.kept(1, 3)) == (3, 1)


def test_two_stages_screen_and_decide() -> None:
    plan = parse_ladder("10, 40", None)
    assert plan.stages == (("screen", 10), ("final", 40)) and plan.keep == ("1",)


def test_the_command_line_stands_above_the_experiment() -> None:
    stated = {"where": "x.toml: [ladder]", "sizes": [5, 10, 20], "keep": ["1/2", 2]}
    assert parse_ladder(None, None, stated) == Ladder((5, 10, 20), ("1/2", "2"))
    assert parse_ladder("6,12,24", "1/4,1", stated) == Ladder((6, 12, 24), ("1/4", "1"))


@pytest.mark.parametrize(
    ("sizes", "keep", "words"),
    [
        ("x", None, "--sizes: 'x' is no number of runs. Allowed is for example 25,200,1000"),
        ("25", None, "--sizes: '25' names 1 stage; a ladder has two (screen, final) or three"),
        ("25,x,1000", None, "--sizes: 'x' is no number of runs. Allowed is for example 25,200,1000"),
        ("25,200,1000,5000", None, "names 4 stages"),
        ("1,200,1000", None, "1 runs an arm; allowed is 2 to 65536"),
        ("25,200,70000", None, "70000 runs an arm; allowed is 2 to 65536"),
        ("25,-2,100", None, "'-2' is no number of runs"),
        (None, "1/3", "--keep: '1/3' says 1 time how many arms go on, and 3 stages need it 2 times"),
        ("25,100", "1/3,1", "2 stages need it 1 time. Give --keep too, for example --keep 1"),
        (None, "0,1", "--keep: '0' is neither a number of arms nor a share"),
        (None, "4/3,1", "'4/3' is neither"),
        (None, "third,1", "'third' is neither"),
        (None, "1/0,1", "'1/0' is neither"),
    ],
)
def test_what_cannot_be_a_plan_says_what_can(sizes: str | None, keep: str | None, words: str) -> None:
    with pytest.raises(UsageError) as problem:
        parse_ladder(sizes, keep)
    assert words in str(problem.value)


def test_an_error_in_a_file_names_the_file() -> None:
    with pytest.raises(UsageError, match=r"x\.toml: \[ladder\]: True is no number of runs"):
        parse_ladder(None, None, {"where": "x.toml: [ladder]", "sizes": [True, 5]})
