"""Every block of the docs is run, in order, in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import caffe
import pytest

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

#: Blocks that are read and not run: transcripts, and what is no program.
NOT_RUN = {"console", "text"}


def blocks(name):
    return BLOCK.findall((ROOT / name).read_text())


def run(language, text, folder):
    """Write a prototxt under the name in its first line, or run a program."""
    if language == "prototxt":
        name = re.match(r"# (\S+\.prototxt)\n", text)
        assert name, f"a prototxt begins with its file's name:\n{text}"
        (folder / name[1]).write_text(text)
        return
    command = {"python": [sys.executable, "-c", text], "bash": ["bash", "-euc", text]}[language]
    path = f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}"
    environment = {"PATH": path, "GLOG_minloglevel": "2", "HOME": str(folder)}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, f"{text}\n{result.stdout}\n{result.stderr}"


def test_the_quickstart(tmp_path):
    for language, text in blocks("docs/quickstart.md"):
        if language not in NOT_RUN:
            run(language, text, tmp_path)
    assert (tmp_path / "digits_iter_100.solverstate").exists()
    # Nets that are shown and not trained there train here.
    for name in ("infogain", "triplet"):
        run("bash", f"""sed 's/train_val/{name}/; s/^test_iter.*//; s/digits/{name}/; s/100/3/' solver.prototxt > {name}_solver
            caffe train --solver={name}_solver""", tmp_path)  # fmt: skip
        assert (tmp_path / f"{name}_iter_3.caffemodel").exists()


def test_the_net_of_the_readme(tmp_path, monkeypatch):
    """On the quickstart's images."""
    language, text = next(block for block in blocks("docs/quickstart.md") if block[0] == "python")
    run(language, text, tmp_path)
    for language, text in blocks("README.md"):
        if language not in NOT_RUN:
            run(language, text, tmp_path)
    monkeypatch.chdir(tmp_path)
    net = caffe.Net("train_val.prototxt", caffe.TRAIN)
    first = float(net.forward()["loss"])
    net.backward()
    assert 0 < first < 10
    net.layers[0].close()


@pytest.mark.parametrize("name", ["README.md", *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")))])
def test_links_lead_somewhere(name):
    for link in re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text()):
        assert link.startswith("http") or ((ROOT / name).parent / link).exists(), link
