"""`caffe-pylayers evaluate`."""
