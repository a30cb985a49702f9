"""What a blob of Caffe can hold."""

#: Numbers: Caffe counts them in an int, and ends the process above that.
LARGEST_BLOB = 2**31 - 1

#: Blobs are float32, which holds every integer up to here.
LARGEST_LABEL = 1 << 24
