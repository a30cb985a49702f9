"""The command `doctor`, where all is well."""

import json

import caffe

from caffe_pylayers.commands.doctor.extension import compiled, numpy_of
from caffe_pylayers.commands.doctor.import_errors import VERSION
from tests.program import run


def test_where_all_is_well():
    done = run("doctor", "--json")
    report = json.loads(done.stdout)
    found = {finding["subject"]: finding for finding in report["findings"]}
    for subject in ("Python", "import caffe", "Python layer", "prefetch", "InfogainLoss", "caffe program", "numpy"):
        assert found[subject]["level"] == "ok", found[subject]
    assert caffe.__version__ in found["import caffe"]["found"]
    assert f"compiled against NumPy {numpy_of(compiled())}, and it" in found["import caffe"]["found"]
    assert f"with Python {VERSION} inside" in found["caffe program"]["found"]
    ill = [finding for finding in report["findings"] if finding["level"] in ("warning", "error")]
    assert report["ill"] == len(ill) and done.returncode == bool(ill)
    assert not [finding for finding in ill if finding["level"] == "error"], ill
