"""Bytes of a file -> clean text."""
