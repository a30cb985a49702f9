"""`caffe-pylayers list`: lists of the images in a folder, for the data layers and for stock ImageData."""
