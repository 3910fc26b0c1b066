"""Layers: affine maps, maxout, dropout, convolutions, normalisation, and matrix products."""
