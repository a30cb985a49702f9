// Caffe includes this header for names such as CV_LOAD_IMAGE_COLOR, which OpenCV 4 has not; stock_caffe.sh defines them.
