"""The data engine: batch number -> sampler -> keys -> source -> bytes -> transforms -> slot. No Caffe in here."""
