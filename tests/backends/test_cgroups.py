"""How much memory is left below the limits of control groups."""

from pathlib import Path

from artstore.backends.cgroups import memory_left
from tests.support.folders import make_tree

GIB = 1 << 30


def left(tmp_path: Path, own: str, files: dict[str, str]) -> int | None:
    root = make_tree(tmp_path / "cgroup", {"there": "", **files})
    (tmp_path / "own").write_text(own)
    return memory_left(str(root), str(tmp_path / "own"))


def test_without_a_limit_memory_is_not_limited(tmp_path: Path) -> None:
    files = {"a/memory.max": "max\n", "a/memory.current": "5\n"}
    assert left(tmp_path, "0::/a/b\n", files) is None
    assert memory_left(str(tmp_path), str(tmp_path / "no such file")) is None


def test_the_lowest_limit_above_a_group_counts_and_old_cached_files_do_not(tmp_path: Path) -> None:
    files = {
        "a/memory.max": f"{4 * GIB}\n", "a/memory.current": f"{3 * GIB}\n",
        "a/memory.stat": f"anon 7\ninactive_file {GIB}\n",
        "a/b/memory.max": f"{9 * GIB}\n", "a/b/memory.current": f"{GIB}\n",
    }  # fmt: skip
    assert left(tmp_path, "0::/a/b\n", files) == 2 * GIB


def test_limits_of_version_1_are_read_too(tmp_path: Path) -> None:
    files = {
        "memory/job/memory.limit_in_bytes": f"{2 * GIB}\n", "memory/job/memory.usage_in_bytes": f"{2 * GIB}\n",
        "memory/job/memory.stat": f"total_inactive_file {GIB // 2}\n",
    }  # fmt: skip
    assert left(tmp_path, "9:name=systemd:/x\n4:cpu,memory:/job\n0::/\n", files) == GIB // 2


def test_in_a_container_the_group_is_where_groups_are_mounted(tmp_path: Path) -> None:
    files = {"memory.max": f"{GIB}\n", "memory.current": "0\n"}
    assert left(tmp_path, "0::/docker/0123\n", files) == GIB
