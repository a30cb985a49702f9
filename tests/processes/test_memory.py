"""Free memory: of this machine, and of trees of cgroups as the kernel writes them."""

import os

import pytest

from caffe_pylayers.processes.memory import available_bytes

GB = 1 << 30
V1_NO_LIMIT = 9223372036854771712

#: Version -> names of the files of a group, what stands for no limit, the line of memory.stat, and the mount.
V2 = ("memory.max", "memory.current", "max", "inactive_file", "cgroup2 cgroup2 rw,nsdelegate")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", V1_NO_LIMIT, "total_inactive_file", "cgroup cgroup rw,memory")


class Machine:
    """A folder with what /proc and /sys/fs/cgroup have, with 8 GB free."""

    def __init__(self, folder, version, group, root="/"):
        self.proc, self.top, self.version = folder / "proc", folder / "cgroup tree", version
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "meminfo").write_text(f"MemTotal:  1 kB\nMemFree:  1 kB\nMemAvailable:  {8 * GB >> 10} kB\n")
        line = f"0::{group}" if version is V2 else f"4:memory:{group}"
        (self.proc / "self" / "cgroup").write_text(f"9:name=systemd:/\n3:cpuset:/\n{line}\n")
        top = str(self.top).replace(" ", "\\040")
        (self.proc / "self" / "mountinfo").write_text(
            "23 28 0:22 / /sys rw - sysfs sysfs rw\n"
            f"35 31 0:32 {root} {top} rw,relatime shared:9 - {version[4]}\n"
            "34 31 0:31 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
        )

    def group(self, path, limit=None, usage=0, reclaimable=0):
        names, folder = self.version, self.top / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / names[0]).write_text(f"{names[2] if limit is None else limit}\n")
        (folder / names[1]).write_text(f"{usage}\n")
        own = "inactive_file 3\n" if self.version is V1 else ""  # without those of the groups within
        (folder / "memory.stat").write_text(f"cache 5\n{own}{names[3]} {reclaimable}\nunevictable 0\n")

    @property
    def free(self):
        return available_bytes(str(self.proc))


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
