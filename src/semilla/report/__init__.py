"""A run as a page to look at: one HTML file that asks the network for nothing.

``runs`` gathers what a run left, ``charts`` turns figures into geometry, ``page`` fills the templates, and ``compare``
holds runs against each other.
"""
