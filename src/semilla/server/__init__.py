"""The local server: an API that programs know, and a site that shows runs.

``library`` finds runs and models below folders. ``generation`` writes the texts of a request, ``scheduler`` lets them
take turns, and ``completions`` and ``api`` speak the form of the API. ``site`` has the pages for people; ``live``
follows runs, ``documents`` shows reports. ``guard`` and ``connections`` keep strangers out and slow clients cheap.
``app`` joins them. A run is read here, never locked and never written to.
"""
