"""The HTML report of a run, and the comparison of several runs. Each is one file that needs no network.

``runs`` reads what a run left, ``charts`` lays out line charts, ``page`` fills the templates, and ``compare`` compares
runs.
"""
