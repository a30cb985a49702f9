"""`caffe-pylayers log`: trainings of the past, from what Caffe wrote of them."""
