"""Readers of file formats, one module each: the bytes of a file in, its text out.

A new format needs a reader beside ``plain_text``, its suffix in ``SUFFIXES``, and its signature removed from what
``detect`` refuses.
"""

SUFFIXES = {".txt"}
"""Suffixes of the files that are read from a folder."""
