"""Readers of file formats, one module each: the bytes of a file in, its documents out.

``known`` lists the formats, ``reading`` reads a file of any of them, ``packed`` opens archives, and ``confined`` runs
the readers of complex formats in a child process with limits. A new format needs a module with a function ``read``
and a row in ``known``.
"""
