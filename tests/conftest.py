"""What all tests need: a quiet Caffe, one BLAS thread, and Hypothesis without deadlines."""

import os

os.environ.setdefault("GLOG_minloglevel", "2")  # before the first import of caffe, which reads it once
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from hypothesis import settings

settings.register_profile("shared", deadline=None)
settings.load_profile("shared")
