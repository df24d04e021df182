"""Semilla grows a small language model from a seed of text, on a laptop CPU."""

__version__ = "0.1.0"
