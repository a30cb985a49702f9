"""What `caffe-pylayers train` does around caffe_pylayers.training."""
