"""The kernel's files of other machines, written down: control groups of both kinds, governors, mounts, counters."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.provenance.host import (
    Limits,
    Mount,
    clock_source,
    frequencies_mhz,
    governors,
    limits,
    mount_of,
    smt_active,
)
from harness.provenance.load import TICKS, load_between, look


def put(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


V2 = {
    "cpu.max": "max 100000",
    "pod/cpu.max": "200000 100000",
    "pod/cpu.stat": "usage_usec 9\nnr_throttled 7\n",
    "pod/box/cpu.max": "max 100000",
}
V1 = {
    "cpu/cpu.cfs_quota_us": "150000",
    "cpu/cpu.cfs_period_us": "100000",
    "memory/box/memory.limit_in_bytes": "1073741824",
}
FREE = {
    "cpu/cpu.cfs_quota_us": "-1",
    "cpu/cpu.cfs_period_us": "100000",
    "memory/memory.limit_in_bytes": "9223372036854771712",
}


@pytest.mark.parametrize(
    ("files", "own", "expected"),
    [
        (V2, "0::/pod/box\n", Limits(2.0, None, (7,))),
        (V2 | {"pod/memory.max": "4096", "pod/box/memory.max": "max"}, "0::/pod/box\n", Limits(2.0, 4096, (7,))),
        (V2, "0::/\n", Limits()),
        (V1, "4:memory:/box\n3:cpu,cpuacct:/\n0::/\n", Limits(1.5, 1 << 30)),
        (FREE, "4:memory:/\n1:cpu:/\n", Limits()),
        (
            {"memory.max": "4096", "memory.current": "3000", "memory.stat": "anon 1\ninactive_file 500\n"},
            "0::/\n",
            Limits(None, 4096, (), 1596),
        ),
        (
            {"memory/memory.limit_in_bytes": "4096", "memory/memory.usage_in_bytes": "5000"},
            "3:memory:/\n",
            Limits(None, 4096, (), 0),
        ),
        ({"cpu.max": "100000 0"}, "0::/\n", Limits()),
        ({}, "", Limits()),
        ({"cpu.max": "50000 100000"}, "0::/../../outside\n", Limits(0.5)),
    ],
)
def test_the_tightest_limit_of_a_group_and_those_above_it(tmp_path: Path, files, own: str, expected: Limits) -> None:
    root = put(tmp_path / "cgroup", files)
    (tmp_path / "own").write_text(own)
    assert limits(root, tmp_path / "own") == expected


def test_clocks_as_the_kernel_tells_them(tmp_path: Path) -> None:
    cores = {f"cpu{i}/cpufreq/scaling_governor": name for i, name in enumerate(("performance\n", "powersave\n"))}
    cores |= {
        "cpu0/cpufreq/scaling_cur_freq": "2400000\n",
        "cpu1/cpufreq/scaling_cur_freq": "800000\n",
        "smt/active": "1\n",
    }
    devices = put(tmp_path / "cpu", cores)
    assert governors(devices) == {"performance", "powersave"}
    assert frequencies_mhz(devices) == (2400.0, 800.0) and smt_active(devices) is True
    info = put(tmp_path, {"cpuinfo": "processor\t: 0\ncpu MHz\t\t: 2596.122\ncpu MHz\t\t: 2000\n"}) / "cpuinfo"
    assert frequencies_mhz(tmp_path / "none", info) == (2596.122, 2000.0)
    assert governors(tmp_path / "none") == frozenset() and smt_active(tmp_path / "none") is None
    assert clock_source(tmp_path / "none") is None


MOUNTS = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
31 27 0:28 / /data rw shared:1 - nfs4 server:/x rw
32 31 0:29 / /data/fast\\040disk rw - xfs /dev/vdb rw
33 27 0:30 / /database rw - tmpfs tmpfs rw
broken line
"""


def test_the_file_system_is_that_of_the_deepest_mount_above(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    found = {
        place: mount_of(Path(place), tmp_path / "mountinfo")
        for place in ("/data/results", "/data/fast disk/x", "/database/y", "/none")
    }
    # none of these folders exists here: what is asked is the nearest one that does, which is the root
    assert set(found.values()) == {Mount("ext4", "/")}
    here = str(tmp_path.resolve())
    (tmp_path / "mountinfo").write_text(
        f"1 1 0:1 / / rw - ext4 /dev/vda rw\n2 1 0:2 / {here} rw - nfs4 server:/x rw\n3 1 0:3 / {here}x rw - tmpfs t rw\n"
    )
    mount = mount_of(tmp_path / "results" / "deep", tmp_path / "mountinfo")
    assert mount == Mount("nfs4", here) and mount.network and not mount.volatile
    assert Mount("tmpfs", "/").volatile and Mount("fuse.sshfs", "/").network and not Mount("ext4", "/").network
    assert mount_of(tmp_path, tmp_path / "nowhere") is None


def counters(folder: Path, busy: int, idle: int, stolen: int, processes: dict[int, tuple[str, int]]) -> Path:
    files = {"stat": f"cpu  {busy} 0 0 {idle} 0 0 0 {stolen} 0 0\ncpu0 1 2 3\n"}
    files |= {
        f"{pid}/stat": f"{pid} ({name}) R 1 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20"
        for pid, (name, ticks) in processes.items()
    }
    return put(folder, files)


def test_load_is_what_happened_between_two_looks(tmp_path: Path) -> None:
    from dataclasses import replace

    first = look(counters(tmp_path / "a", 1000, 1000, 0, {7: ("job) x", 100), 8: ("still", 50), 9: ("gone", 5)}))
    last = look(
        counters(
            tmp_path / "b",
            1000 + TICKS,
            1000 + TICKS - 10,
            10,
            {7: ("job) x", 100 + TICKS), 8: ("still", 50), 10: ("new", TICKS // 2)},
        )
    )
    load = load_between(replace(first, at=10.0), replace(last, at=11.0))
    assert (
        load.seconds == 1.0 and load.busy_cores == pytest.approx(1.0) and load.stolen == pytest.approx(10 / (2 * TICKS))
    )
    assert [(one.pid, one.name, one.cores) for one in load.others] == [(7, "job) x", 1.0), (10, "new", 0.5)]
    assert load_between(first, last, without=frozenset((7, 10))).others == ()
    nothing = look(tmp_path / "empty")
    assert load_between(nothing, nothing).busy_cores is None


def test_a_group_that_was_held_back_is_seen_below_one_that_was_so_more_often(tmp_path: Path) -> None:
    from harness.app.doctoring import _held_back

    def throttled(own: int) -> tuple[int, ...]:
        put(tmp_path, {"cpu.stat": "nr_throttled 5000\n", "pod/cpu.stat": f"nr_throttled {own}\n"})
        return limits(tmp_path, cgroup).throttled

    cgroup = tmp_path / "own"
    cgroup.write_text("0::/pod\n")
    before, after = throttled(3), throttled(900)
    (check,) = _held_back(before, after)
    assert (check.state, check.value) == ("bad", 897)
    assert not list(_held_back(after, after)) and not list(_held_back((), ()))
