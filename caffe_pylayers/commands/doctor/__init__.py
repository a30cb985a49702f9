"""What a newcomer trips over: this Python and its packages, Caffe, the `caffe` program, the machine."""
