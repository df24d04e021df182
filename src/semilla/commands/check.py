"""``semilla check``: run phase 1 and show the result of every check."""

from __future__ import annotations

import argparse

from semilla.configuration.flags import add_sources, load_arguments
from semilla.configuration.schema import PipelineConfiguration
from semilla.corpus.manifest import CorpusManifest
from semilla.installation import EXTRAS
from semilla.prerequisites.packages import require_packages
from semilla.terminal.console import print_json, print_text
from semilla.terminal.corpus_table import print_corpus
from semilla.terminal.tables import print_table

HELP = """Check this machine and the settings before a run: packages, directory, disk, memory, text source.
For your own text it also shows what became of each file. Nothing is downloaded and nothing is left behind. The exit
code is 1 if a required check fails."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_sources(parser)
    parser.add_argument(
        "--show-cleaning", action="store_true", help="show what each step of cleaning changes in a few files"
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def run(arguments: argparse.Namespace) -> int:
    config = load_arguments(arguments).config
    require_packages(*EXTRAS["train"], task="a check")
    from semilla.pipeline.phases.prerequisite_check import check_all, raise_failed  # noqa: PLC0415 - needs urllib3
    from semilla.pipeline.start_model import adopt_start  # noqa: PLC0415

    config = adopt_start(config)
    tried: list[tuple[CorpusManifest, str]] = []
    checks = check_all(config, show_text=lambda manifest, text: tried.append((manifest, text)))
    if arguments.json:
        print_json([check.as_json() for check in checks])
    else:
        rows = [(check.verdict, check.name, check.found, check.needed) for check in checks]
        print_table(rows, headings=("", "check", "found", "needed"))
        for check in checks:
            for line in (check.advice or "").splitlines():
                print_text(f"advice: {line}")
        for manifest, text in tried:
            print_text("")
            print_corpus(manifest, text)
        if arguments.show_cleaning:
            _show_cleaning(config)
    raise_failed(checks)
    return 0


def _show_cleaning(config: PipelineConfiguration) -> None:
    from semilla.corpus.cleaning_sample import sample_cleaning  # noqa: PLC0415 - needs urllib3, as above
    from semilla.corpus.sources import resolve_sources  # noqa: PLC0415
    from semilla.terminal.cleaning_steps import print_steps  # noqa: PLC0415

    sources = [source for source in resolve_sources(config.corpus_source) if source.is_local]
    if not sources:
        print_text("--show-cleaning shows files of this machine only")
        return
    num_shown = 0
    for source in sources:
        for name, steps in sample_cleaning(config, source):
            print_text("")
            print_steps(name, steps)
            num_shown += 1
    if not num_shown:
        print_text("cleaning changes nothing in the files that were tried")
