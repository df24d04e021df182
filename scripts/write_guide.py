"""Update the numbers and tables in the guide and the README that come from the code or from the recorded run.

Two marks say where. Both stay in place::

    2.139<!-- recorded: best_validation_loss .3f -->     replaces the number before the mark, in this format
    <!-- generated: budgets --> … <!-- end -->           replaces the lines in between

Spanish pages get the same numbers and blocks, with spaces between the thousands and translated words around them.
``--check`` changes nothing and fails if a page is not current.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from guide_figures import SHAPES, collect_overfitting, draw_losses, list_sizes, read_overfitted

from semilla.records.results import Finding
from semilla.runtime.budgets import BUDGETS

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "guide"
PAGES = [ROOT / "README.md", *sorted(GUIDE.glob("*.md"))]
SPANISH_PAGES = sorted(GUIDE.glob("es/*.md"))
RECORDED = GUIDE / "recorded" / "first-run.json"
FIGURES = RECORDED.with_name("figures.json")
NUMBER = re.compile(r"[-+]?\d[\d.,\u202f]*(?=<!-- recorded: (?P<name>\w+) (?P<format>[^ ]+) -->)")
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rewrite(text: str, recorded: Mapping[str, Any]) -> str:
    """Put current numbers and tables into a page. Raises KeyError for a mark with an unknown name.

    Without a recorded run, numbers stay as they are.
    """
    if recorded["figures"]:
        text = NUMBER.sub(lambda mark: format(recorded["figures"][mark["name"]], mark["format"]), text)
    return BLOCK.sub(lambda mark: f"{mark[1]}{GENERATED[mark[2]](recorded)}\n{mark[3]}", text)


def count_marks(text: str) -> tuple[int, int]:
    """Count the marks of recorded numbers and of generated blocks in a page, well-formed or not."""
    return text.count("<!-- recorded:"), text.count("<!-- generated:")


def rewrite_in_spanish(text: str, recorded: Mapping[str, Any]) -> str:
    """Do the same for a page of the Spanish guide."""
    if recorded["figures"]:
        text = NUMBER.sub(
            lambda mark: space_thousands(format(recorded["figures"][mark["name"]], mark["format"])), text
        )
    return BLOCK.sub(lambda mark: f"{mark[1]}{translate(GENERATED[mark[2]](recorded))}\n{mark[3]}", text)


def space_thousands(number: str) -> str:
    """Write 712,320 as Spanish does: with a narrow space, and without one in four digits."""
    return re.sub(r"^([-+]?\d),(\d{3})(?!,)", r"\1\2", number).replace(",", "\u202f")


def translate(block: str) -> str:
    """Translate the words of a generated block that are not output of the program: cells of tables, and sentences."""
    for english, spanish in SPANISH_SENTENCES.items():
        block = block.replace(english, spanish)
    return re.sub(r"(?<=\| )[a-z ]+(?= \|)", lambda cell: SPANISH_CELLS.get(cell[0], cell[0]), block)


# ---- tables


def draw_table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [list(headings), *([str(cell).replace("|", "\\|") for cell in row] for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tabulate_findings(recorded: Mapping[str, Any]) -> str:
    """List the gates and targets of the recorded run, each value beside its threshold."""
    findings = [Finding.model_validate(one) for one in recorded["findings"]]
    rows = (
        (
            f"`{one.name}`",
            one.kind,
            "not measured" if one.value is None else f"{one.value:.4g}",
            f"{one.comparison} {one.threshold:g} {one.unit}".strip(),
            "yes" if one.passed else "no",
        )
        for one in findings
    )
    return draw_table(("figure", "kind", "recorded run", "needs", "passed"), rows)


def tabulate_budgets(recorded: Mapping[str, Any]) -> str:
    """List the device budgets, and what the model of the recorded run used."""
    rows = ((f"`{name}`", most, recorded["figures"].get(name, "")) for name, most in BUDGETS.items())
    return draw_table(("figure", "at most", "recorded run"), rows)


def tabulate_epochs(recorded: Mapping[str, Any]) -> str:
    """List epochs of the recorded run: the first, the last, and every third in between."""
    epochs = recorded["epochs"]
    rows = (
        (
            epoch["epoch_number"],
            f"{epoch['train_loss']:.3f}",
            f"{epoch['validation_loss']:.3f}",
            f"{epoch['bits_per_byte']['all']:.3f}",
            f"{epoch['learning_rate']:.1e}".replace("e-0", "e-"),
            f"{epoch['gradient_norm']:.2f}",
        )
        for epoch in [*epochs[:1], *epochs[2:-1:3], *epochs[-1:]]
    )
    headings = (
        "epoch",
        "training loss",
        "validation loss",
        "bits per byte",
        "learning rate",
        "gradient norm",
    )
    return draw_table(headings, rows)


def show_transcript(recorded: Mapping[str, Any]) -> str:
    """Return what the recorded run printed, as a block."""
    return "\n".join(["```text", *recorded["transcript"], "```"])


def show_stories(recorded: Mapping[str, Any]) -> str:
    """Return the first text of the finished model in each language, unedited."""
    return "\n".join(["```text", "\n\n".join(recorded["stories"]), "```"])


def show_ladder(recorded: Mapping[str, Any]) -> str:
    """Return, for up to three epochs, the bits per byte and how the model continued one opening."""
    epochs = recorded["epochs"]
    chosen = sorted({0, len(epochs) // 2, len(epochs) - 1} & set(range(len(epochs))))
    lines = []
    for epoch in (epochs[place] for place in chosen):
        lines += [f"epoch {epoch['epoch_number']}, {epoch['bits_per_byte']['all']:.3f} bits per byte:"]
        lines += [f"  {line}" for line in wrap_sample(epoch["samples"][0])]
    return "\n".join(["```text", *lines, "```"])


def show_openings(recorded: Mapping[str, Any]) -> str:
    """Return how the last model of the recorded run continued the opening of each language."""
    samples = recorded["epochs"][-1]["samples"]
    return "\n".join(["```text", *(line for sample in samples for line in wrap_sample(sample)), "```"])


def wrap_sample(sample: Mapping[str, str]) -> list[str]:
    """A sample in lines, its opening in brackets."""
    return textwrap.wrap(" ".join(f"[{sample['prompt']}]{sample['text']}".split()), 110)


def show_temperatures(recorded: Mapping[str, Any]) -> str:
    """Return one opening that the recorded model continued at several temperatures, if that was recorded."""
    found = recorded.get("temperatures", [])
    if not found:
        return ""
    prompt = found[0]["prompt"]
    introduction = (
        f"The recorded run's model continues `{prompt}` at several temperatures, every token allowed:"
    )
    lines = [f"{one['temperature']}: {' '.join(one['text'].split())}" for one in found]
    return "\n".join([introduction, "", "```text", *lines, "```"])


GENERATED: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "budgets": tabulate_budgets,
    "recorded_findings": tabulate_findings,
    "recorded_epochs": tabulate_epochs,
    "recorded_transcript": show_transcript,
    "recorded_stories": show_stories,
    "recorded_ladder": show_ladder,
    "recorded_openings": show_openings,
    "recorded_temperatures": show_temperatures,
    "overfitting": lambda _: draw_losses(read_overfitted()),
    "sizes": lambda _: draw_table(
        ("text", *(f"{layers} x {width}" for layers, width in SHAPES)), list_sizes()
    ),
}
"""The generated blocks by name."""
SPANISH_CELLS = {
    "at most": "como máximo",
    "bits per byte": "bits por byte",
    "epoch": "época",
    "figure": "cifra",
    "gradient norm": "norma del gradiente",
    "kind": "tipo",
    "learning rate": "tasa de aprendizaje",
    "needs": "necesita",
    "not measured": "no medida",
    "passed": "superado",
    "recorded run": "ejecución registrada",
    "text": "texto",
    "training loss": "pérdida de entrenamiento",
    "validation loss": "pérdida de validación",
    "yes": "sí",
}
SPANISH_SENTENCES = {
    "The recorded run's model continues": "El modelo de la ejecución registrada continúa",
    "at several temperatures, every token allowed:": "a varias temperaturas, con todos los tokens permitidos:",
}


def read_recorded() -> dict[str, Any]:
    """Read the figures that scripts/record-guide saved; empty without a recorded run."""
    if not RECORDED.is_file():
        return {"figures": {}, "epochs": [], "findings": [], "transcript": []}
    content: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    content["figures"] |= collect_overfitting(read_overfitted())
    return content


def write_pages(pages: Iterable[Path], rewrite_page: Callable[[str], str]) -> int:
    """Bring the generated parts of ``pages`` up to date, or with --check only report stale ones; the exit code."""
    stale = []
    for path in pages:
        before = path.read_text(encoding="utf-8")
        after = rewrite_page(before)
        stale += [path.name] if after != before else []
        if "--check" not in sys.argv and after != before:
            path.write_text(after, encoding="utf-8")
    if "--check" in sys.argv and stale:
        print(f"not current: {', '.join(stale)}; run scripts/docs")
        return 1
    return 0


def main() -> int:
    recorded = read_recorded()
    english = write_pages(PAGES, lambda text: rewrite(text, recorded))
    spanish = write_pages(SPANISH_PAGES, lambda text: rewrite_in_spanish(text, recorded))
    return english or spanish


if __name__ == "__main__":
    sys.exit(main())
