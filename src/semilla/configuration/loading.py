"""Load a configuration: flags override environment variables, which override a TOML file and the defaults.

The mistakes of all sources are collected in one list and reported together.
"""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from semilla.configuration.migrations import CHANGES, take_version
from semilla.configuration.schema import GROUPS, PipelineConfiguration, find_head_mistake
from semilla.configuration.settings import group_settings, list_settings
from semilla.errors import ABSENT, InvalidConfigError, Mistake, from_os_error
from semilla.spelling import DASHES, ENVIRONMENT_PREFIX, hint_name, reduce_name

Origin = Literal["flag", "environment", "file", "default"]

MAX_FILE_BYTES = 1_000_000
"""A configuration takes about a page, so a larger file is something else (or ``/dev/zero``)."""


class _NoValue:
    """Marks a flag given without a value, which is reported with the other mistakes."""

    def __repr__(self) -> str:
        return ABSENT


NO_VALUE = _NoValue()


@dataclass(frozen=True)
class LoadedConfiguration:
    """A valid configuration, and where the value of each field came from."""

    config: PipelineConfiguration
    origins: dict[str, Origin]

    @property
    def explicit(self) -> frozenset[str]:
        """Fields that the user set."""
        return frozenset(name for name, origin in self.origins.items() if origin != "default")


@dataclass(frozen=True)
class _Given:
    value: Any
    origin: Origin
    place: str


def load_configuration(
    *, flags: Mapping[str, Any], environment: Mapping[str, str], file: Path | None = None
) -> LoadedConfiguration:
    """Merge the sources and validate the result.

    ``flags`` maps field names to text, lists of text or booleans. An unknown name is reported with the nearest flag.
    Raises InvalidConfigError, which lists every mistake.
    """
    mistakes: list[Mistake] = []
    given = _read_file(file, mistakes)
    given |= _read_environment(environment, mistakes)
    given |= _read_flags(flags, mistakes)
    config = _validate(given, mistakes)
    _raise_mistakes(mistakes, file=file)
    assert config is not None
    origins: dict[str, Origin] = {
        name: given[name].origin if name in given else "default" for name in list_settings()
    }
    return LoadedConfiguration(config, origins)


def check_content(content: dict[str, Any], *, place: str) -> None:
    """Raise InvalidConfigError, listing every mistake, unless this file content is a valid configuration."""
    mistakes: list[Mistake] = []
    _validate(_read_content(content, mistakes, place=place), mistakes)
    _raise_mistakes(mistakes)


def _read_flags(flags: Mapping[str, Any], mistakes: list[Mistake]) -> dict[str, _Given]:
    settings = list_settings()
    given = {}
    for name, value in flags.items():
        if name not in settings:
            mistakes.append(_describe_stray(name, value))
        elif value is NO_VALUE:
            mistakes.append(
                Mistake(name, value, f"must be {settings[name].allowed}", origin=settings[name].flag)
            )
        else:
            text = " ".join(value) if isinstance(value, list) else value
            content = settings[name].split(text) if isinstance(text, str) else text
            given[name] = _Given(content, "flag", settings[name].flag)
    return given


def _read_environment(environment: Mapping[str, str], mistakes: list[Mistake]) -> dict[str, _Given]:
    by_variable = {setting.variable: setting for setting in list_settings().values()}
    given = {}
    for variable, text in sorted(environment.items()):
        if variable in by_variable:
            setting = by_variable[variable]
            given[setting.name] = _Given(setting.split(text), "environment", variable)
        elif variable.startswith(ENVIRONMENT_PREFIX):
            mistakes.append(_describe_unknown(variable, text, "environment variable", list(by_variable)))
    return given


def _read_file(path: Path | None, mistakes: list[Mistake]) -> dict[str, _Given]:
    if path is None:
        return {}
    try:
        content = tomllib.loads(read_file_text(path))
    except (ValueError, RecursionError) as error:
        mistakes.append(Mistake("config", str(path), f"must be a TOML file: {error}", origin="--config"))
        return {}
    return _read_content(content, mistakes, place=str(path))


def _read_content(content: dict[str, Any], mistakes: list[Mistake], *, place: str) -> dict[str, _Given]:
    take_version(content, place=place)
    given: dict[str, _Given] = {}
    for group, name, value in _flatten(content):
        mistake = _find_misplaced(group, name, value, is_repeated=name in given)
        if mistake:
            mistakes.append(replace(mistake, origin=place))
        else:
            given[name] = _Given(value, "file", place)
    return given


def read_file_text(path: Path) -> str:
    """Read a configuration file; raises InvalidConfigError when it is missing, ValueError when it is not text."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        near = get_close_matches(path.name, [one.name for one in path.parent.glob("*.toml")], n=1)
        hint = f"; did you mean {path.parent / near[0]}?" if near else ""
        raise InvalidConfigError(f"there is no configuration file {path}{hint}") from None
    except OSError as error:
        raise from_os_error(error, path) from error
    if len(data) > MAX_FILE_BYTES:
        raise ValueError("it is larger than 1 MB")
    return data.decode("utf-8-sig")


def _flatten(content: dict[str, Any]) -> Iterator[tuple[str | None, str, Any]]:
    for name, value in content.items():
        if name in GROUPS and isinstance(value, dict):
            yield from ((name, inner, inner_value) for inner, inner_value in value.items())
        else:
            yield None, name, value


def _find_misplaced(group: str | None, name: str, value: object, *, is_repeated: bool) -> Mistake | None:
    settings = list_settings()
    if name in GROUPS:
        return Mistake(name, value, "must be a table of settings")
    if name not in settings:
        return _describe_unknown(name, value, "setting", list(settings))
    setting = settings[name]
    if group is not None and group != setting.group:
        home = f"in [{setting.group}]" if setting.group else "at the top level"
        return Mistake(name, value, f"belongs {home}")
    if is_repeated:
        return Mistake(name, value, f"is set twice: at the top level and in [{setting.group}]")
    # pydantic accepts true as the number 1.
    if isinstance(value, bool) and setting.kind != "boolean":
        return Mistake(name, value, f"must be {setting.allowed}")
    return None


def _describe_unknown(name: str, value: object, kind: str, names: list[str]) -> Mistake:
    change = CHANGES.get(reduce_name(name))
    if change:
        return Mistake(name, value, str(change))
    return Mistake(name, value, f"no such {kind}{hint_name(name, names)}")


def _describe_stray(word: str, value: object) -> Mistake:
    """Describe a word of the command line that is no flag of ours; one without a dash is a value without a flag."""
    settings = list_settings()
    flags = [one.flag for one in settings.values()]
    opposites = [f"--no-{one.flag[2:]}" for one in settings.values() if one.kind == "boolean"]
    known = [*flags, *opposites, "--progress", "--config", "--debug", "--help"]
    if word.startswith(tuple(DASHES)):
        return _describe_unknown(word, value, "flag", known)
    named = [flag for flag in known if reduce_name(flag) == reduce_name(word.partition("=")[0])]
    is_text = Path(word).exists() or "." in word or "/" in word
    meant = named or ([f"{settings['corpus_source'].flag} {shlex.quote(word)}"] if is_text else [])
    return Mistake(word, value, "a value without a flag" + (f"; did you mean {meant[0]}?" if meant else ""))


def _raise_mistakes(mistakes: list[Mistake], *, file: Path | None = None) -> None:
    if not mistakes:
        return
    count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    is_old = any(mistake.field in CHANGES and mistake.origin == str(file) for mistake in mistakes)
    command = f"semilla config migrate {shlex.quote(str(file))}" if is_old else None
    raise InvalidConfigError(f"the configuration has {count}", mistakes=mistakes, next_command=command)


def _validate(given: dict[str, _Given], mistakes: list[Mistake]) -> PipelineConfiguration | None:
    config, errors = None, []
    try:
        config = PipelineConfiguration.model_validate(
            group_settings({name: one.value for name, one in given.items()})
        )
    except ValidationError as error:
        # A group skips its cross-field check while one of its fields is wrong, so that check is made below.
        errors = [one for one in error.errors() if not (len(one["loc"]) == 1 and one["loc"][0] in GROUPS)]
    mistakes += [_describe_error(error, given) for error in errors]
    mistakes += _find_cross_mistakes(given, wrong={mistake.field for mistake in mistakes})
    return config


def _describe_error(error: ErrorDetails, given: dict[str, _Given]) -> Mistake:
    name = next(str(part) for part in error["loc"] if part in list_settings())
    setting, value = list_settings()[name], error["input"]
    reason = str(error["msg"]).removeprefix("Value error, ")
    allowed = reason if error["type"] == "value_error" else f"must be {setting.allowed}"
    return Mistake(name, value, allowed, setting.find_nearest(value), given[name].place)


def _find_cross_mistakes(given: dict[str, _Given], *, wrong: set[str]) -> list[Mistake]:
    pair = ("d_model", "num_heads")
    if wrong & set(pair):
        return []
    settings = list_settings()
    values = [given[name].value if name in given else settings[name].default for name in pair]
    mistake = find_head_mistake(*map(TypeAdapter(int).validate_python, values))
    places = " and ".join(given[name].place for name in pair if name in given)
    return [replace(mistake, origin=places)] if mistake else []
