"""Trees of control groups as the kernel writes them, of both versions."""

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
