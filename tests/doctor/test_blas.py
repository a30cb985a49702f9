"""An OpenBLAS that does not know the processor: here its own variable makes it one."""

import re

from caffe_pylayers.processes.blas import processor_flags
from tests.doctor.examined import findings

KNOWN_BY_ITSELF = not processor_flags() >= {"avx2", "fma"}  # then no kernel is faster than the one that is forced


def blas(**environment):
    return findings("pycaffe.import_caffe", **environment).get("BLAS")


def test_an_openblas_that_does_not_know_the_processor_is_found_and_its_remedy_helps():
    found = blas(OPENBLAS_CORETYPE="Prescott")
    if KNOWN_BY_ITSELF:
        assert found is None
        return
    assert found["level"] == "warning"
    assert re.fullmatch(r"OpenBLAS [\d.]+ does not know this processor .* as for a Prescott, .* slower", found["found"])
    (value,) = re.findall("^export OPENBLAS_CORETYPE=(.*)$", found["remedy"])
    assert blas(OPENBLAS_CORETYPE=value) is None
