"""Autoencoders: denoising, contractive, stacked, and the chains that sample from them."""
