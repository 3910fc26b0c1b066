"""Layers: affine maps, maxout, dropout, convolutions, normalisation; their products."""
