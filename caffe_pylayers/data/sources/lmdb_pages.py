"""Where the keys and values of an LMDB lie in its file: its B+tree, read page by page, with nothing mapped.

liblmdb trusts what it reads. Of a damaged file, and of pages that another process has written over, it reads past the
end of its map, which ends the process without a message. Here each page is checked before it is used. The layout is that
of liblmdb 0.9 on 64-bit little-endian machines (mdb.c), which is what Caffe and py-lmdb write:

page    uint64 its own number, uint16, uint16 flags, uint16 lower (its nodes' offsets end there), uint16 upper;
        then uint16 offsets of nodes in the order of their keys. An overflow page has uint32 count of pages at byte 12.
node    uint16 low, uint16 high, uint16 flags, uint16 size of key, key, value. In a leaf low and high are the size of
        the value (which is the number of an overflow page where flags say so), in a branch with flags the child's number.
meta    pages 0 and 1; the one of the larger transaction counts.
"""

import contextlib
import os
import struct
from typing import Callable, Iterator, List, NamedTuple, Tuple, Union

from caffe_pylayers.caffe_files.datum import Buffer
from caffe_pylayers.data.sources.storage import File, Held
from caffe_pylayers.errors import ChangedSourceError, DataError

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_HEADER = 16
_PAGE_SIZES = [1 << power for power in range(9, 17)]
_BRANCH, _LEAF, _KINDS = 1, 2, 0x6F  # flags of a page: two kinds, and the bits of all
_BIG_VALUE = 1  # flag of a node
_SEVERAL_VALUES = 4  # flag of a database
_DEEPEST = 32  # levels of a tree, in mdb.c

#: Bytes of a value from which on it is looked at before it is read, and how many are looked at.
_LONG, _START = 1 << 14, 64

#: Behind the header of a meta page: magic, version, (address, size of the map), page size, (..), the main database's
#: flags, depth, (..), entries, root, last page, transaction.
_META = struct.Struct("<II16xI44x4xHH24xQQQQ")
#: Of a page: its number, flags, lower. Of a node: see above.
_PAGE, _NODE, _PAGE_NUMBER = struct.Struct("<Q2xHH"), struct.Struct("<HHHH"), struct.Struct("<Q")

#: The last number of _META alone, which is read at each record, and where in its page it is.
_TRANSACTION = struct.Struct("<Q")
_AT = _HEADER + _META.size - _TRANSACTION.size


class Root(NamedTuple):
    """What a database says of itself as of its last transaction; root: the number of its first page."""

    page_size: int
    depth: int
    entries: int
    root: int
    last_page: int
    transaction: int


class Leaf(NamedTuple):
    """A page of records in the order of their keys; records: key, offset and size of the value in the file."""

    page: bytes
    offset: int
    records: List[Tuple[bytes, int, int]]

    def values(self, file: Held, passed_over: Callable[[bytes], Tuple[int, int]]) -> Iterator[Buffer]:
        """The values. passed_over: of the first bytes of a long one, from where to where it need not be read."""
        page = memoryview(self.page)
        for _, offset, size in self.records:
            start = offset - self.offset
            if 0 <= start < len(page):
                yield page[start : start + size]
            elif size < _LONG:
                yield file.read(offset, size)
            else:
                head = file.read(offset, _START)
                start, end = passed_over(head)
                yield head[:start] + file.read(offset + end, size - end) if end <= size else file.read(offset, size)


def read_root(file: File) -> Root:
    """Raises DataError where the file is no LMDB, is cut short, or has no records."""
    first = _meta(file.read(0, min(file.size, _HEADER + _META.size)))
    newest = _newest(file, first.page_size)
    promised = (newest.last_page + 1) * newest.page_size
    if file.size < promised:
        raise DataError(
            f"its header says {promised} bytes, but the file has {file.size}", remedy="was the copy cut short?"
        )
    if not newest.entries:
        raise DataError("it has no records", remedy="if a program is writing them, it must commit them first")
    return newest


def require_transaction(file: File, root: Root) -> None:
    """Raise DataError where another transaction was written to the database since.

    What was read before is right then: a transaction writes over no page of the one before it.
    """
    if _last_transaction(file, root) != root.transaction:
        raise file.changed()


def explained(error: DataError, file: File, root: Root) -> DataError:
    """The error; where the file only seems to be longer than it was, with what makes it so."""
    with contextlib.suppress(OSError, DataError):
        longer = isinstance(error, ChangedSourceError) and os.path.getsize(file.path) > file.size
        if longer and _last_transaction(file.held(), root) == root.transaction:
            error = error.kept()
            error.remedy = (
                "did a program open it with `writemap=True`, which makes the file longer? open it with `readonly=True` "
                "there, and start again"
            )
    return error


def _last_transaction(file: Union[File, Held], root: Root) -> int:
    pages = file.read(0, root.page_size + _HEADER + _META.size)
    both = (_TRANSACTION.unpack_from(pages, at)[0] for at in (_AT, root.page_size + _AT))
    return max(both)


def read_leaves(file: Held, root: Root) -> Iterator[Leaf]:
    """The leaves of the tree from left to right. Raises DataError where a page is damaged.

    Whether the file has changed meanwhile is for `require_transaction` to say.
    """
    found = 0
    for leaf in _leaves(file, root, root.root, root.depth):
        found += len(leaf.records)
        if found > root.entries:
            break
        yield leaf
    if found != root.entries:
        raise DataError(f"it is damaged: its header says {root.entries} records, but its pages have {found}")


def _newest(file: File, page_size: int) -> Root:
    """What the newer of the two meta pages says."""
    both = file.read(0, min(file.size, page_size + _HEADER + _META.size))
    return max(_meta(both), _meta(both[page_size:]), key=lambda root: root.transaction)


def _meta(page: bytes) -> Root:
    if len(page) < _HEADER + _META.size:
        raise DataError("it is not an LMDB, or it was cut short")
    magic, version, page_size, flags, depth, *others = _META.unpack_from(page, _HEADER)
    if magic != _MAGIC or version & 0xFFFF != _VERSION or page_size not in _PAGE_SIZES:
        raise DataError(
            "it is not an LMDB, or damaged, or of another kind: only files of LMDB 0.9 from 64-bit little-endian machines can be read"
        )
    if flags & _SEVERAL_VALUES:
        raise DataError("its keys have several values each", remedy="a key of Caffe's databases has one")
    return Root(page_size, depth, *others)


def _leaves(file: Held, root: Root, number: int, depth: int) -> Iterator[Leaf]:
    """Those below page `number`, which is on level `depth` above them; leaves are on level 1."""
    if depth == 1:
        yield _leaf(file, root, number)
        return
    for child in _children(file, root, number, depth):
        yield from _leaves(file, root, child, depth - 1)


def _children(file: Held, root: Root, number: int, depth: int) -> List[int]:
    if not 1 < depth <= _DEEPEST:
        raise _damaged(number, f"on level {depth} of a tree")
    page, starts = _nodes(file, root, number, _BRANCH)
    return [low | middle << 16 | high << 32 for low, middle, high, _ in (_NODE.unpack_from(page, at) for at in starts)]


def _leaf(file: Held, root: Root, number: int) -> Leaf:
    page, starts = _nodes(file, root, number, _LEAF)
    here = number * root.page_size
    records = []
    for start in starts:
        low, high, flags, key_size = _NODE.unpack_from(page, start)
        begin, size = start + _NODE.size, low | high << 16
        end = begin + key_size
        if flags & ~_BIG_VALUE:
            raise DataError(
                "it has databases inside it, or keys with several values", remedy="Caffe's databases have neither"
            )
        if end + (_PAGE_NUMBER.size if flags else size) > root.page_size:
            raise _damaged(number, "a record lies outside of it")
        offset = here + end
        if flags:
            (first,) = _PAGE_NUMBER.unpack_from(page, end)
            offset = first * root.page_size + _HEADER
            if first < 2 or offset + size > (root.last_page + 1) * root.page_size:
                raise _damaged(number, f"a record of it lies on page {first}, or is longer than the file")
        records.append((page[begin:end], offset, size))
    return Leaf(page, here, records)


def _nodes(file: Held, root: Root, number: int, kind: int) -> Tuple[bytes, Tuple[int, ...]]:
    """A page of that kind, and where in it its nodes start."""
    if not 2 <= number <= root.last_page:
        raise _damaged(number, f"pages are 2 to {root.last_page}")
    page = file.read(number * root.page_size, root.page_size)
    own_number, flags, lower = _PAGE.unpack_from(page)
    if own_number != number or flags & _KINDS != kind:
        raise _damaged(number, f"it is not that page, or not a {'branch' if kind == _BRANCH else 'leaf'}")
    if lower % 2 or not _HEADER < lower <= len(page):
        raise _damaged(number, f"its nodes end at byte {lower}")
    starts = struct.unpack_from(f"<{(lower - _HEADER) // 2}H", page, _HEADER)
    if min(starts) < lower or max(starts) + _NODE.size > len(page):
        raise _damaged(number, "a node lies outside of it")
    return page, starts


def _damaged(number: int, what: str) -> DataError:
    return DataError(f"it is damaged (page {number}: {what})", remedy="write it again")
