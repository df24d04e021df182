"""Pages of HTML: the templates they are filled from, and the hashes that let a browser run their own scripts."""

from __future__ import annotations

import base64
import hashlib

import jinja2

from semilla.escape import escape_controls


def open_templates(package: str, folder: str = "templates") -> jinja2.Environment:
    """The templates of a package. Every value is escaped, and an unknown name is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package, folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: escape_controls(value) if type(value) is str else value,
    )


def hash_content(content: str) -> str:
    """A script or style as a content security policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
