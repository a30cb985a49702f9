"""What a prototxt can name: thin classes that carry arrays between Caffe and the rest of the package."""
