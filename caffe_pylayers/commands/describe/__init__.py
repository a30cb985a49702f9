"""What `caffe-pylayers describe` shows; caffe_pylayers.descriptions makes it."""
