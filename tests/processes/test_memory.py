"""Free memory: of this machine, and of trees of cgroups as the kernel writes them."""

import os

import pytest

from caffe_pylayers.processes.memory import available_bytes
from tests.processes.control_groups import GB, V1, V2, Machine

both = pytest.mark.parametrize("version", [V1, V2], ids=["v1", "v2"])


@both
def test_the_smallest_group_on_the_way_up_counts(tmp_path, version):
    machine = Machine(tmp_path, version, "/slice/job/step")
    machine.group("slice/job/step")
    machine.group("slice/job", 4 * GB, 3 * GB, GB // 2)
    machine.group("slice", 2 * GB, GB // 4)
    assert machine.free == 3 * GB // 2
    machine.group("slice", 5 * GB, 4 * GB)
    machine.group("slice/other", GB, GB)
    assert machine.free == GB


@both
def test_without_limits_the_machine_counts(tmp_path, version):
    machine = Machine(tmp_path, version, "/slice")
    machine.group("slice")  # the outermost group has no files of a limit in version 2
    assert machine.free == 8 * GB
    machine.group("slice", 20 * GB, GB)
    assert machine.free == 8 * GB


@both
def test_a_group_above_its_limit_leaves_nothing(tmp_path, version):
    machine = Machine(tmp_path, version, "/")
    machine.group("", GB, 2 * GB)
    assert machine.free == 0


@both
@pytest.mark.parametrize("group", ["/docker/abc", "/docker/abc/job", "/../elsewhere"])
def test_in_a_container_the_mount_begins_at_its_group(tmp_path, version, group):
    machine = Machine(tmp_path, version, group, root="/docker/abc")
    machine.group("", 3 * GB, GB)
    assert machine.free == 2 * GB


def test_on_this_machine():
    """No more than what the kernel says itself, where this process has a group of version 1 or 2."""
    free = available_bytes()
    assert free > 0
    with open("/proc/meminfo") as stream:
        total = next(int(line.split()[1]) << 10 for line in stream if line.startswith("MemTotal"))
    assert free < total
    with open("/proc/self/cgroup") as stream:
        groups = [line.strip().split(":", 2)[2] for line in stream if ":memory:" in line]
    for group in groups:
        place = f"/sys/fs/cgroup/memory{group}"
        if os.path.exists(f"{place}/memory.limit_in_bytes"):
            with open(f"{place}/memory.limit_in_bytes") as stream:
                assert free <= int(stream.read())
