"""Directed models with learned inference."""
