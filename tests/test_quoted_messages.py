"""The messages that the docs quote are those that the code says."""

import ast
import re

import pytest

from tests.pages import ROOT

#: What the system, Caffe and Python say.
OF_OTHERS = [
    "No such file or directory",
    "mdb_status == 0 (2 vs. 0)",
    "terminate called after throwing an instance of",
    "Incompatible number of blobs for layer",
    "ImportError: ",
    "SyntaxError: invalid syntax",
    "recall = nan",
    "has no field named",
    "Killed signal",
    "Can't create layer ... of type",
    "Requested layer ... not found",
]

#: What is a value or stands for one: dots, words in quotes, numbers and paths, files, kinds of sources, layers, signals.
VALUE = r"\.\.\.|'[^']*'|`[^`]*`|\S*[\d/]\S*|\w\S*\.\w+|\b(?:CSV|LMDB|BCF|HDF5|[A-Z]\w+Layer|SIG[A-Z]+)\b"


#: What a text leaves open, beside the fields of an f-string.
OPEN = r"%[a-z]|\$\{?\w+\}?"


def words_of(text):
    return " ".join(re.sub(r"[.,:;?()=\"]", " ", text).split())


@pytest.fixture(scope="module")
def said():
    """The texts of the package and of `make setup`, a line each; a text that is filled in is several."""
    texts = OF_OTHERS + [path.read_text() for path in (ROOT / "scripts").rglob("*.sh")]
    for path in [*(ROOT / "caffe_pylayers").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")]:
        nodes = list(ast.walk(ast.parse(path.read_text())))
        docstrings = {node.value for node in nodes if isinstance(node, ast.Expr)}
        constants = [node.value for node in nodes if isinstance(node, ast.Constant) and node not in docstrings]
        texts += [value for value in constants if isinstance(value, str)]
    return "".join(f"\n {words_of(part)} \n" for text in texts for part in re.split(OPEN, text))


def quoted(page):
    """The messages of a page: in quotes in the headings of troubleshooting, in tables of messages, and of a log."""
    text = page.read_text()
    headings = re.findall("^### .*$", text, re.MULTILINE)
    logs = re.findall(r"^```text\n(\w+Layer: [^`]*)^```$", text, re.MULTILINE)
    tables = re.findall(r"^\|[^|\n]*\| the message \|\n((?:\|.*\n)+)", text, re.MULTILINE)
    rows = [row for table in tables for row in re.findall(r"\| `+ ?(.*?) ?`+ \|$", table, re.MULTILINE)]
    return [message for heading in headings for message in re.findall('"(.*?)"', heading)] + rows + logs


def not_said(message, said):
    """What the code does not say of the words that stand between the values of a message."""
    parts = [words_of(part).split() for part in re.split(f"{VALUE}|[:;] ", message)]
    return [" ".join(part) for part in parts if part and not is_said(part, said)]


def is_said(words, said, begins=" "):
    """Whether they stand in one text, or from some place to its end, whole texts after it, and the begin of another."""
    if f"{begins}{' '.join(words)} " in said:
        return True
    return any(
        f"{begins}{' '.join(words[:n])} \n" in said and is_said(words[n:], said, "\n ") for n in range(1, len(words))
    )


def test_the_code_says_what_the_docs_quote(said):
    messages = [message for page in (ROOT / "docs").rglob("*.md") for message in quoted(page)]
    assert len(messages) > 80
    assert {message: words for message in messages for words in [not_said(message, said)] if words} == {}


def test_a_message_that_nothing_says_is_found(said):
    assert not_said("CSV source train.csv: not an image that OpenCV can decode, or cut short", said) == []
    assert not_said("CSV source train.csv: not an image that OpenCV can read, or cut short", said) != []
