"""Nets for other programs: what `caffe-pylayers export --onnx` writes."""
