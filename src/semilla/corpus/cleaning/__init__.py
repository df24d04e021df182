"""Cleaning: from the bytes of a file to paragraphs without boilerplate."""
