"""What the kernel says of the memory of this process."""


def advised(address):
    """Whether the kernel has been told to use huge pages for the mapping with this address."""
    with open("/proc/self/smaps") as file:
        inside = False
        for line in file:
            words = line.split()
            if "-" in words[0] and not words[0].endswith(":"):
                begin, end = (int(word, 16) for word in words[0].split("-"))
                inside = begin <= address < end
            elif inside and words[0] == "VmFlags:":
                return "hg" in words
    raise AssertionError("no such mapping")
