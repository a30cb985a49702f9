"""A trained net for other programs: what `caffe-pylayers deploy` writes."""
