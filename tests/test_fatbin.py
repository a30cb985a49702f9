"""scripts/cuda/fatbin.py leaves the code for one kind of GPU in a library."""

import importlib.util
import struct
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts/cuda/fatbin.py"
MACHINE_CODE, PTX = 2, 1


@pytest.fixture(scope="module")
def fatbin():
    spec = importlib.util.spec_from_file_location("fatbin", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entry(kind, architecture, code):
    header = struct.pack("<HHIQ", kind, 1, 64, len(code)).ljust(28, b"\0") + struct.pack("<I", architecture)
    return header.ljust(64, b"\0") + code


def fat_binary(*entries):
    body = b"".join(entries)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def test_only_the_machine_code_for_one_kind_stays(fatbin):
    kept = entry(MACHINE_CODE, 90, b"for ninety")
    others = (entry(MACHINE_CODE, 80, b"for eighty" * 9), entry(PTX, 90, b"text"))
    before, between, behind = b"a library \x50\xed", b" its data ", b" its end"
    data = bytearray(before + fat_binary(others[0], kept, others[1]) + between + fat_binary(kept) + behind)
    size = len(data)
    freed = fatbin.keep(data, 90)
    assert freed == sum(map(len, others))
    assert len(data) == size  # nothing that comes behind moves
    found = list(fatbin.fat_binaries(bytes(data)))
    assert [[(each.kind, each.architecture) for each in entries] for _, entries in found] == [[(MACHINE_CODE, 90)]] * 2
    for at, _ in found:
        assert data[at + 16 :].startswith(kept)
    assert bytes(data).startswith(before) and bytes(data).endswith(behind) and between in data


def test_a_library_without_that_kind_is_an_error(fatbin):
    data = bytearray(fat_binary(entry(MACHINE_CODE, 80, b"code")))
    with pytest.raises(ValueError, match="has no machine code for 90"):
        fatbin.keep(data, 90)


def test_what_only_looks_like_a_fat_binary_is_left_alone(fatbin):
    data = bytearray(b"text \x50\xed\x55\xba more text")
    assert fatbin.keep(data, 90) == 0
    assert data == b"text \x50\xed\x55\xba more text"
