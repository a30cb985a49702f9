"""How much memory there is to take."""


def available_bytes() -> int:
    """Bytes that are free. Asked beforehand, since the kernel promises any amount and then kills whoever uses it."""
    with open("/proc/meminfo") as stream:
        return next(int(line.split()[1]) << 10 for line in stream if line.startswith("MemAvailable"))
