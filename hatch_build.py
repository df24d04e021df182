"""The parts of the package's metadata that depend on where it is published.

REPOSITORY_URL, such as https://example.org/owner/semilla, gives the package its links, and makes the relative links of
the README absolute, so that they also work on a package index. Without it the README stays as it is.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

RELATIVE_LINK = re.compile(r"(!?\[[^\]]*\])\((?!\w+:|#)([^)\s]+)\)")


class PublishedMetadata(MetadataHookInterface):
    """Writes ``readme`` and ``urls``, which pyproject.toml calls dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        repository = os.environ.get("REPOSITORY_URL", "").rstrip("/")
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": link_absolutely(text, repository)}
        metadata["urls"] = list_urls(repository)


def list_urls(repository: str) -> dict[str, str]:
    """The links of the package; none without a repository."""
    if not repository:
        return {}
    pages = {"Documentation": "docs/README.md", "Changelog": "CHANGELOG.md"}
    return {
        "Repository": repository,
        "Issues": f"{repository}/issues",
        **{name: f"{repository}/blob/main/{page}" for name, page in pages.items()},
    }


def link_absolutely(markdown: str, repository: str) -> str:
    """Let relative links and pictures lead into the repository; unchanged without one."""
    if not repository:
        return markdown

    def lead(match: re.Match[str]) -> str:
        kind = "raw" if match[1].startswith("!") else "blob"
        return f"{match[1]}({repository}/{kind}/main/{match[2]})"

    return RELATIVE_LINK.sub(lead, markdown)
