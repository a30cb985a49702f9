# The three libraries of OpenCV that Caffe needs. Debian has the OpenCVConfig of OpenCV only in libopencv-dev, which
# depends on all other libraries, among them Qt.
find_path(OpenCV_headers opencv2/imgcodecs.hpp PATH_SUFFIXES opencv4 REQUIRED)
set(OpenCV_INCLUDE_DIRS ${CMAKE_CURRENT_LIST_DIR} ${OpenCV_headers})
set(OpenCV_LIBS "")
foreach(name core imgproc imgcodecs)
  find_library(OpenCV_${name} opencv_${name} REQUIRED)
  list(APPEND OpenCV_LIBS ${OpenCV_${name}})
endforeach()
