"""Every field of the configuration as a setting: its flag, variable, range and nearest valid value.

Everything is read from the JSON schema of ``PipelineConfiguration``, so nothing is declared twice.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal

import tomli_w

from semilla.configuration.migrations import SCHEMA_KEY, SCHEMA_VERSION, bring_up_to_date
from semilla.configuration.schema import PipelineConfiguration
from semilla.escape import escape_controls, redact_credentials
from semilla.spelling import ENVIRONMENT_PREFIX

Kind = Literal["integer", "number", "boolean", "string", "array"]

_FLAGS = {"output_directory": "--output-dir", "resume_from_checkpoint": "--resume"}
"""The two flags that differ from their field's name."""


@dataclass(frozen=True)
class Setting:
    """One field. ``maximum`` is inclusive, and so is ``minimum`` unless ``has_open_minimum``."""

    name: str
    group: str | None
    kind: Kind
    help: str
    default: Any
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    has_open_minimum: bool = False

    @property
    def flag(self) -> str:
        return _FLAGS.get(self.name, "--" + self.name.replace("_", "-"))

    @property
    def variable(self) -> str:
        return ENVIRONMENT_PREFIX + self.name.upper()

    @property
    def allowed(self) -> str:
        """Describe the valid values, such as ``an integer from 1 to 12``."""
        if self.kind in {"integer", "number"}:
            return f"{'an integer' if self.kind == 'integer' else 'a number'} {self._describe_bounds()}"
        if self.kind == "boolean":
            return "true or false"
        if self.choices:
            return f"{'any' if self.kind == 'array' else 'one'} of {', '.join(self.choices)}"
        return f"a list of words that match {self.pattern}" if self.pattern else "text on one line, not empty"

    def find_nearest(self, value: object) -> object:
        """Return the valid value closest to a wrong one, or None when none is close."""
        if self.kind in {"integer", "number"}:
            return self._clamp(value)
        return next(iter(get_close_matches(str(value).lower(), self.choices, n=1, cutoff=0.4)), None)

    def split(self, text: str) -> str | list[str]:
        """Split the text of a flag or variable at commas and white space if the setting is a list."""
        return text.replace(",", " ").split() if self.kind == "array" else text

    def _describe_bounds(self) -> str:
        if self.has_open_minimum:
            return f"above {_format(self.minimum)}, at most {_format(self.maximum)}"
        return f"from {_format(self.minimum)} to {_format(self.maximum)}"

    def _clamp(self, value: object) -> object:
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            return None
        assert self.minimum is not None
        assert self.maximum is not None
        if math.isnan(number) or (self.has_open_minimum and number <= self.minimum):
            return None
        if self.kind == "number":
            return _format(min(max(number, self.minimum), self.maximum))
        # Compared as integers: a float cannot hold 2**63 - 1.
        if not self.minimum <= number <= self.maximum:
            return int(self.minimum if number < self.minimum else self.maximum)
        return round(number)


def _format(number: float | None) -> str:
    """Format a bound: 1e-5 rather than 1e-05, 12 rather than 12.0."""
    assert number is not None
    return str(number) if isinstance(number, int) else f"{number:g}".replace("e-0", "e-")


@cache
def list_settings() -> dict[str, Setting]:
    """List every setting by name, in the order of the configuration."""
    schema = PipelineConfiguration.model_json_schema()
    settings: dict[str, Setting] = {}
    for name, field in schema["properties"].items():
        if "$ref" in field:
            group = schema["$defs"][field["$ref"].rsplit("/", 1)[1]]
            settings |= {inner: _describe(inner, name, spec) for inner, spec in group["properties"].items()}
        else:
            settings[name] = _describe(name, None, field)
    return settings


def group_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of settings by name, in the groups of the configuration."""
    grouped: dict[str, Any] = {}
    for name, setting in list_settings().items():
        if name in values:
            home = grouped.setdefault(setting.group, {}) if setting.group else grouped
            home[name] = values[name]
    return grouped


def to_toml(config: PipelineConfiguration) -> str:
    """Write the configuration as TOML with groups as tables; ``load_configuration`` reads it back.

    User names and passwords in URLs are removed, and characters that could act on a terminal are escaped.
    """
    content = {SCHEMA_KEY: SCHEMA_VERSION, **config.model_dump(mode="json")}
    return escape_controls(redact_credentials(tomli_w.dumps(content)))


def recall_settings(recorded: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Convert recorded settings to current names, and add the defaults of ``names`` that are newer than the record.

    A new setting's default reproduces the behaviour before the setting existed.
    """
    settings = list_settings()
    defaults = {name: settings[name].default for name in names if name in settings}
    return defaults | bring_up_to_date(recorded)


def _describe(name: str, group: str | None, field: dict[str, Any]) -> Setting:
    item = field.get("items", field)
    return Setting(
        name=name,
        group=group,
        kind=field["type"],
        help=field["description"].replace("\n", " "),
        default=field["default"],
        choices=tuple(item.get("enum", ())),
        pattern=item.get("pattern"),
        minimum=field.get("exclusiveMinimum", field.get("minimum")),
        maximum=field.get("maximum"),
        has_open_minimum="exclusiveMinimum" in field,
    )


def to_command(config: PipelineConfiguration, **changes: object) -> str:
    """Write the ``semilla run`` command for this configuration with some values changed."""
    values = {**config.flatten(), **changes}
    words = ["semilla", "run"]
    for name, setting in list_settings().items():
        value = values[name]
        if value == setting.default:
            continue
        if setting.kind == "boolean":
            words.append(setting.flag if value else setting.flag.replace("--", "--no-", 1))
        elif name == "corpus_source":
            words += [f"{setting.flag}={source}" for source in str(value).split("\n")]
        else:
            words.append(f"{setting.flag}={','.join(value) if setting.kind == 'array' else value}")
    return shlex.join(words)
