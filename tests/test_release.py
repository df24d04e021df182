"""What is published: one version, links that work elsewhere, a complete source archive, workflows that can run."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import semilla

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
REPOSITORY = "https://example.org/us/semilla"


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    """hatch_build.py, with a stand-in for the build tool, which is not installed for tests."""
    interface = ModuleType("hatchling.metadata.plugin.interface")
    interface.MetadataHookInterface = object  # type: ignore[attr-defined]
    names = ["hatchling", "hatchling.metadata", "hatchling.metadata.plugin"]
    stand_ins = {**{name: ModuleType(name) for name in names}, interface.__name__: interface}
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        for name, stand_in in stand_ins.items():
            patch.setitem(sys.modules, name, stand_in)
        spec.loader.exec_module(module)
    return module


def test_the_version_is_written_once() -> None:
    """pyproject.toml reads it from the package, and CITATION.cff repeats it."""
    assert "version" in PROJECT["project"]["dynamic"]
    assert "version" not in PROJECT["project"]
    source = ROOT / PROJECT["tool"]["hatch"]["version"]["path"]
    assert f'__version__ = "{semilla.__version__}"' in source.read_text(encoding="utf-8")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.*)$", citation, re.M)[1] == semilla.__version__  # type: ignore[index]


def test_links_of_the_readme_work_on_another_page(hook: ModuleType) -> None:
    """Every relative link leads into the repository; pictures lead to the raw file; other links stay."""
    text = hook.link_absolutely(README, REPOSITORY)
    relative = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link and link[0] != "#"]
    assert relative == []
    assert f"({REPOSITORY}/blob/main/docs/install.md)" in text
    assert f"({REPOSITORY}/raw/main/docs/assets/first-run.svg)" in text
    assert "(https://packaging.python.org)" in hook.link_absolutely(
        "[x](https://packaging.python.org)", REPOSITORY
    )
    assert hook.link_absolutely("[x](#here)", REPOSITORY) == "[x](#here)"


def test_without_a_repository_there_are_no_links(hook: ModuleType) -> None:
    """A build by hand neither invents an address nor changes the README."""
    assert hook.link_absolutely(README, "") == README
    assert hook.list_urls("") == {}
    assert hook.list_urls(REPOSITORY)["Issues"] == f"{REPOSITORY}/issues"


def test_the_hook_fills_what_is_dynamic(hook: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The build reads the address from the environment, with or without a slash at its end."""
    metadata: dict = {}
    filler = hook.PublishedMetadata()
    filler.root = str(ROOT)
    monkeypatch.setenv("REPOSITORY_URL", f"{REPOSITORY}/")
    filler.update(metadata)
    assert {"version", *metadata} == set(PROJECT["project"]["dynamic"])
    assert metadata["urls"]["Repository"] == REPOSITORY
    assert f"({REPOSITORY}/blob/main/LICENSE)" in metadata["readme"]["text"]


def test_the_source_archive_has_what_the_readme_names() -> None:
    """Links of the README and of CONTRIBUTING, and the scripts they name, are in the archive."""
    included = [one.strip("/") for one in PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]]
    assert [name for name in included if not (ROOT / name).exists()] == []
    texts = README + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", texts) if "://" not in link]
    named = [*links, *re.findall(r"\b((?:scripts|benchmarks|tests|docs)/[\w./-]*\w)", texts)]
    assert len(named) > 30
    assert [name for name in named if name.split("/")[0] not in included] == []


def test_a_tag_publishes_without_a_secret() -> None:
    """The workflow proves its identity instead; only one job may, and the tag must be the version."""
    text = (ROOT / ".github" / "workflows" / "publish.yml").read_text(encoding="utf-8")
    assert text.count("id-token: write") == 1
    assert "secrets." not in text
    assert "password" not in text
    assert "semilla.__version__" in text
    assert "scripts/release" in text


def test_hooks_before_a_commit_call_what_exists() -> None:
    """They use the tools of .venv and the scripts, so nothing is pinned twice."""
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"repo: (\S+)", text)) == {"local"}
    assert [name for name in re.findall(r"scripts/\S+", text) if not (ROOT / name.rstrip(")")).exists()] == []
