"""Nets and solvers of forks of Caffe, and of older Caffes, made into such as stock Caffe runs with the layers of this package."""
