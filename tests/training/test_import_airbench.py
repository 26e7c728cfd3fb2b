"""`log.pt` as the airbench scripts write it, and files that would run something if they were opened carelessly."""

from __future__ import annotations

import contextlib
import os
import pickle
import zipfile
from pathlib import Path

import pytest
from helpers import rows_of, says, write

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.train
SOURCE = "import torch\nprint('a script')\n"
ACCURACIES = [0.9400, 0.9412, 0.9399, 0.9405, 0.9387]


def airbench(folder: Path, accuracies=ACCURACIES) -> Path:
    """The last lines of airbench94_muon.py: one tensor of accuracies, and the script's own source."""
    accs = torch.tensor(accuracies)
    path = folder / "log.pt"
    torch.save(dict(code=SOURCE, accs=accs), path)  # noqa: C408 - as it stands there
    return path


def test_a_log_of_airbench(cli_inside, tmp_path):
    airbench(tmp_path)
    done = cli_inside("import", "log.pt", "--as", "muon")
    says(done, 0)
    assert "from a file of airbench" in done.stdout and "Unknown: seed, time_s, invocation" in done.stdout
    rows = rows_of(tmp_path, "muon")
    assert [float(r["accuracy"]) for r in rows] == ACCURACIES, "as they were before they were 32 bits"
    assert [r["replicate"] for r in rows] == ["0", "1", "2", "3", "4"] and {r["seed"] for r in rows} == {""}
    assert len({r["code_hash"] for r in rows}) == 1 and rows[0]["code_hash"]
    judged = cli_inside("compare", "muon", "muon2", "--target", "0.94", "--margin-pp", "0.1")
    says(judged, 4, "There is no store 'muon2'")


def test_two_logs_are_compared_for_accuracy_and_refused_for_time(cli_inside, tmp_path):
    for name, shift in (("one", 0.0), ("two", 0.0002)):
        airbench(tmp_path, [round(a + shift, 4) for a in ACCURACIES * 5])
        says(cli_inside("import", "log.pt", "--as", name), 0)
    done = cli_inside("compare", "one", "two", "--target", "0.94", "--margin-pp", "0.2", "--json")
    says(done, 0)
    assert '"no-times"' in done.stdout and '"k": 15' in done.stdout, "0.9400 reaches 0.94"


class Opens:
    """Unpickled, it would make a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("how", ["torch", "pickle", "inside"])
def test_a_malicious_file_is_refused_and_nothing_is_run(how: str, cli_inside, tmp_path):
    mark, path = tmp_path / "it-ran", tmp_path / "log.pt"
    log = {"code": SOURCE, "accs": Opens(mark)}
    if how == "torch":
        torch.save(log, path)
    elif how == "pickle":
        path.write_bytes(pickle.dumps(log))
    else:  # a sound log, whose pickle was exchanged
        airbench(tmp_path)
        with zipfile.ZipFile(path) as sound:
            parts = {name: sound.read(name) for name in sound.namelist()}
        with zipfile.ZipFile(path, "w") as changed:
            for name, content in parts.items():
                changed.writestr(name, pickle.dumps(log, protocol=2) if name.endswith("data.pkl") else content)
    done = cli_inside("import", "log.pt", "--as", "bad")
    said = says(done, 2, "refused, and nothing in it was run", "JSON Lines or CSV")
    assert "weights_only" not in said, "nobody is told how to run it all the same"
    assert how == "pickle" or "it asks for posix.mkdir" in said
    assert not mark.exists() and not (tmp_path / "results/bad").exists()
    with contextlib.suppress(RuntimeError):  # a bare pickle is no file of torch's, which is found too late
        torch.load(path, weights_only=False)
    assert mark.exists(), "the file does run something where it is opened carelessly"


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"PK\x03\x04 not an archive", 4, ["cannot be read as a file of torch.save"]),
        (b"\x80\x04.", 4, ["cannot be read as a file of torch.save"]),
    ],
)
def test_a_damaged_file(content: bytes, code: int, words: list[str], cli_inside, tmp_path):
    (tmp_path / "log.pt").write_bytes(content)
    says(cli_inside("import", "log.pt", "--as", "x"), code, *words)
    assert not (tmp_path / "results/x").exists()


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ({"code": SOURCE}, ["no log of airbench", "'accs'", "'code'"]),
        ([0.9, 0.91], ["no log of airbench", "a list"]),
        ({"accs": torch.zeros(2, 2)}, ["one list of accuracies", "(2, 2)"]),
        ({"accs": [0.9, 1.5]}, ["run 2", "1.5"]),
        ({"accs": ["high"]}, ["'accs' must be numbers"]),
        ({"accs": []}, ["holds no runs"]),
    ],
)
def test_a_file_of_torch_that_is_no_log(log, words, cli_inside, tmp_path):
    torch.save(log, tmp_path / "log.pt")
    says(cli_inside("import", "log.pt", "--as", "x"), 2, *words)


def test_a_half_precision_log_and_a_plain_list(cli_inside, tmp_path):
    torch.save({"accs": [0.94, 0.9401]}, tmp_path / "log.pt")
    says(cli_inside("import", "log.pt", "--as", "plain"), 0)
    assert [r["accuracy"] for r in rows_of(tmp_path, "plain")] == ["0.94", "0.9401"]
    torch.save({"accs": torch.tensor([0.94, 0.5], dtype=torch.bfloat16)}, tmp_path / "log.pt")
    says(cli_inside("import", "log.pt", "--as", "coarse"), 0)
    assert [r["accuracy"] for r in rows_of(tmp_path, "coarse")] == ["0.94140625", "0.5"]


def test_it_is_known_by_its_content_whatever_its_name(cli_inside, tmp_path):
    airbench(tmp_path).rename(tmp_path / "runs.csv")
    says(cli_inside("import", "runs.csv", "--as", "muon"), 0)
    write(tmp_path, "log.pt", "seed,accuracy\n1,0.9\n")
    says(cli_inside("import", "log.pt", "--as", "text"), 0)
