"""Caffe's own files, read without Caffe."""
