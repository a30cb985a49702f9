// Caffe includes this header for imread and imwrite only; windows and videos are not needed.
#include <opencv2/imgcodecs.hpp>
