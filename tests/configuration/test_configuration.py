"""Where a configuration comes from, and how its mistakes are reported."""

from __future__ import annotations

import json
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semilla.commands.config import to_shell
from semilla.configuration.loading import MAX_FILE_BYTES, NO_VALUE, load_configuration
from semilla.configuration.schema import PipelineConfiguration, TrainingHyperparameters
from semilla.configuration.settings import list_settings, to_command, to_toml
from semilla.errors import InvalidConfigError
from semilla.spelling import suggest_name

OTHER_VALUES = {
    "corpus_source": "mi archivo ñ 🌱.txt",
    "corpus_size_mb": 7,
    "corpus_grade": 2,
    "minutes": 7.5,
    "start_from": "modelo ñ",
    "replay": 0.5,
    "layout": "lines",
    "dedupe": True,
    "repair": True,
    "text_column": "body",
    "title_column": "name",
    "repetition_fraction": 0.1,
    "early_stopping": 2,
    "tokenizer_vocab_size": 4096,
    "tokenizer_model_type": "bpe",
    "num_layers": 3,
    "d_model": 192,
    "num_heads": 6,
    "dim_feedforward": 512,
    "tie_embeddings": False,
    "batch_size": 16,
    "learning_rate": 0.001,
    "num_epochs": 5,
    "max_sequence_length": 64,
    "optimizer": "adamw",
    "warmup_fraction": 0.1,
    "weight_decay": 0.0,
    "dropout": 0.25,
    "sampled_output_fraction": 0.5,
    "short_context_fraction": 0.5,
    "language_balance": 0.5,
    "max_gradient_norm": 0.5,
    "precision": "float32",
    "num_threads": 2,
    "output_directory": "salida con 'comillas'",
    "resume_from_checkpoint": True,
    "skip_phases": ["corpus_download", "tokenizer_training"],
    "corpus_mirrors": ["http://localhost:8000/a", "https://example.org"],
    "allow_partial": True,
    "corpus_drift": "refuse",
    "corpus_encoding": "latin-1",
    "corpus_languages": ["en", "es"],
    "trust_tokenizer": True,
    "max_validation_loss": 4.5,
    "strict": True,
    "seed": 2**63 - 1,
    "corpus_seed": 11,
    "checkpoint_every": 2,
    "checkpoint_seconds": 5.5,
    "tracker": "tensorboard",
    "keep_models": 2,
    "keep_epochs": True,
    "device": "mps",
}
"""A value for every setting that is not its default."""


def load(**kwargs):
    return load_configuration(**{"flags": {}, "environment": {}, **kwargs})


def write_toml(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


def list_mistakes(**kwargs) -> dict[str, str]:
    with pytest.raises(InvalidConfigError) as caught:
        load(**kwargs)
    return {mistake.field: str(mistake) for mistake in caught.value.mistakes}


@pytest.fixture
def other() -> PipelineConfiguration:
    return load(flags=OTHER_VALUES).config


def test_values_cover_every_setting():
    """The table in this file has a non-default value for every setting."""
    defaults = PipelineConfiguration().flatten()
    assert set(OTHER_VALUES) == set(list_settings()) == set(defaults)
    assert [name for name in defaults if defaults[name] == OTHER_VALUES[name]] == []


def test_flags_win_over_environment_over_file_over_defaults(tmp_path):
    """Each source overrides the next, and every value has its origin."""
    file = write_toml(tmp_path, "num_layers = 4\nbatch_size = 4\nnum_epochs = 4\n")
    environment = {"SEMILLA_NUM_LAYERS": "5", "SEMILLA_BATCH_SIZE": "5", "HOME": "/x"}
    loaded = load(flags={"num_layers": "6"}, environment=environment, file=file)
    values = loaded.config.flatten()
    names = ("num_layers", "batch_size", "num_epochs", "d_model")
    assert [values[name] for name in names] == [6, 5, 4, 128]
    assert [loaded.origins[name] for name in names] == ["flag", "environment", "file", "default"]
    assert loaded.explicit == {"num_layers", "batch_size", "num_epochs"}
    assert loaded.config.training_hyperparameters.model_fields_set == {"batch_size", "num_epochs"}


def test_every_setting_can_come_from_the_environment():
    """Every setting has a variable; list items are separated by commas or white space."""
    environment = {
        list_settings()[name].variable: ", ".join(value) if isinstance(value, list) else str(value)
        for name, value in OTHER_VALUES.items()
    }
    loaded = load(environment=environment)
    assert loaded.config.flatten() == OTHER_VALUES
    assert set(loaded.origins.values()) == {"environment"}


def test_toml_takes_groups_as_tables_or_flat(tmp_path):
    """A grouped field may be in its table or at the top level, also after a byte order mark."""
    file = write_toml(tmp_path, "\ufeffnum_heads = 2\n[model_architecture]\nnum_layers = 3\n")
    shape = load(file=file).config.model_architecture
    assert (shape.num_heads, shape.num_layers) == (2, 3)


def test_toml_round_trips(tmp_path, other):
    """The TOML of ``config show`` loads as the same configuration, with groups as tables."""
    file = write_toml(tmp_path, to_toml(other))
    assert load(file=file).config == other
    assert tomllib.loads(file.read_text(encoding="utf-8"))["model_architecture"]["num_layers"] == 3


def test_json_round_trips(other):
    """The JSON of ``config show`` validates as the same configuration."""
    assert PipelineConfiguration.model_validate_json(other.model_dump_json()) == other


def test_shell_round_trips(other):
    """A shell that sources the exports passes on the same configuration."""
    script = to_shell(other) + "\nenv -0"
    output = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env={}).stdout
    pairs = [entry.partition("=") for entry in output.split("\0") if entry]
    assert load(environment={name: value for name, _, value in pairs}).config == other


def test_command_gives_the_configuration_again(other):
    """The next command has every setting that is not at its default, quoted for a shell."""
    words = shlex.split(to_command(other, batch_size=8))
    assert words[:2] == ["semilla", "run"]
    assert len(words) == 2 + len(OTHER_VALUES)
    assert "--batch-size=8" in words
    assert "--no-tie-embeddings" in words
    assert shlex.split(to_command(PipelineConfiguration())) == ["semilla", "run"]


def test_all_mistakes_are_reported_together(tmp_path):
    """Unknown names, wrong values of every source and the cross-field rule are reported together."""
    file = write_toml(tmp_path, "num_layerz = 3\n[training_hyperparameters]\nbatch_size = 300\n")
    mistakes = list_mistakes(
        flags={"--epochs": "abc", "num_epochs": NO_VALUE, "num_heads": "3", "optimizer": "muonn"},
        environment={"SEMILLA_LR": "1", "SEMILLA_LEARNING_RATE": "nan"},
        file=file,
    )
    assert len(mistakes) == 8
    assert "did you mean num_layers?" in mistakes["num_layerz"]
    assert "did you mean --num-epochs?" in mistakes["--epochs"]
    assert "did you mean SEMILLA_LEARNING_RATE?" in mistakes["SEMILLA_LR"]
    assert "(no value) (from --num-epochs): must be an integer from 1 to 100" in mistakes["num_epochs"]
    assert (
        f"300 (from {file}): must be an integer from 1 to 128; nearest valid value: 128"
        in mistakes["batch_size"]
    )
    assert (
        "'muonn' (from --optimizer): must be one of muon, adamw; nearest valid value: muon"
        in mistakes["optimizer"]
    )
    assert (
        "'nan' (from SEMILLA_LEARNING_RATE): must be a number from 1e-5 to 0.01" in mistakes["learning_rate"]
    )
    assert "must divide d_model = 128" in mistakes["num_heads"]


@pytest.mark.parametrize(
    ("name", "value", "nearest"),
    [
        ("batch_size", "-INFINITY", "1"),
        ("batch_size", "1e400", "128"),
        ("num_layers", "0", "1"),
        ("num_layers", "-5", "1"),
        ("num_layers", "1000000000", "12"),
        ("num_layers", "2.6", "3"),
        ("num_layers", "1e400", "12"),
        ("learning_rate", "1", "0.01"),
        ("learning_rate", "0", "1e-5"),
        ("seed", "-1", "0"),
        ("seed", str(2**63), str(2**63 - 1)),
        ("max_validation_loss", "21", "20"),
        ("tokenizer_model_type", "BPE", "bpe"),
        ("skip_phases", "corpus_downlod", "corpus_download"),
    ],
)
def test_wrong_values_name_the_nearest_valid_one(name, value, nearest):
    """Numbers are clamped to their range, words matched to the closest choice; the nearest value is valid."""
    text = list_mistakes(flags={name: value})[name]
    assert text.endswith(f"; nearest valid value: {nearest}")
    load(flags={name: nearest})


@pytest.mark.parametrize("value", ["abc", "", "nan", "9" * 5000, "\udc80", "doce", "2**3"])
def test_values_that_are_not_numbers_are_mistakes(value):
    """A value that is not a number is refused with the range, and shortened if long."""
    text = list_mistakes(flags={"num_layers": value})["num_layers"]
    assert "an integer from 1 to 12" in text
    assert len(text) < 300


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        ("num_layers = true", "num_layers", "an integer from 1 to 12"),
        ("learning_rate = nan", "learning_rate", "a number from"),
        ("model_architecture = 3", "model_architecture", "must be a table"),
        ("[training_hyperparameters]\nnum_layers = 3", "num_layers", "belongs in [model_architecture]"),
        ("[model_architecture]\nseed = 3", "seed", "belongs at the top level"),
        ("num_layers = 3\n[model_architecture]\nnum_layers = 3", "num_layers", "is set twice"),
        ("num_layers = [1]", "num_layers", "an integer from 1 to 12"),
        ("seed = 1979-05-27", "seed", "an integer"),
        ("num_layers = = 3", "config", "must be a TOML file"),
        ("a = " + "[" * 5000, "config", "must be a TOML file"),
        ("# " + "ñ" * MAX_FILE_BYTES, "config", "larger than 1 MB"),
    ],
)
def test_wrong_files_are_mistakes(tmp_path, text, field, reason):
    """A file that is not TOML, or has a setting in the wrong place, is refused with the reason."""
    assert reason in list_mistakes(file=write_toml(tmp_path, text))[field]


def test_missing_file_names_a_close_one(tmp_path):
    """A misspelt ``--config`` suggests the existing file."""
    write_toml(tmp_path, "")
    with pytest.raises(InvalidConfigError, match=r"did you mean .*run\.toml"):
        load(file=tmp_path / "runn.toml")


def test_mistakes_of_overridden_values_do_not_matter():
    """A wrong variable is ignored when a flag overrides it."""
    assert load(flags={"seed": "3"}, environment={"SEMILLA_SEED": "x"}).config.seed == 3


def test_cross_field_rule_names_both_values_and_a_way_out():
    """The error names the heads, the width and the nearest number of heads that fits."""
    text = list_mistakes(flags={"num_heads": "5"}, environment={"SEMILLA_D_MODEL": "192"})["num_heads"]
    assert "must divide d_model = 192" in text
    assert "SEMILLA_D_MODEL and --num-heads" in text
    assert text.endswith("nearest valid value: 4")


@pytest.mark.parametrize(
    ("unknown", "meant"),
    [
        ("--epochs", "--num-epochs"),
        ("--lr", "--learning-rate"),
        ("--vocab-size", "--tokenizer-vocab-size"),
        ("--output", "--output-dir"),
        ("--batchsize", "--batch-size"),
        ("--zzzz", None),
        ("--", None),
    ],
)
def test_unknown_flags_suggest_what_was_meant(unknown, meant):
    """A word of the name, a similar spelling or its initials lead to the flag; nonsense does not."""
    assert suggest_name(unknown, [setting.flag for setting in list_settings().values()]) == meant


@given(st.dictionaries(st.sampled_from(sorted(list_settings())), st.text(max_size=30)))
def test_any_text_gives_a_configuration_or_its_mistakes(flags):
    """Any text in any flag gives a valid configuration or a list of mistakes."""
    try:
        outcome = load(flags=flags)
    except InvalidConfigError as error:
        outcome = error
    if isinstance(outcome, InvalidConfigError):
        assert outcome.mistakes
        assert {mistake.field for mistake in outcome.mistakes} <= {*flags, "num_heads"}
    else:
        assert outcome.config.model_dump(mode="json")
        assert outcome.explicit == set(flags)


def test_the_sample_stories_have_settings_of_their_own_unless_they_are_set():
    """However the configuration is made; other sources keep the defaults."""
    own = load(flags={"corpus_source": "sample"}).config.training_hyperparameters
    assert (own.dropout, own.learning_rate, own.repetition_fraction) == (0, 0.0009, 0.25)
    given = load(flags={"corpus_source": "sample", "dropout": "0.1"}).config.training_hyperparameters
    assert (given.dropout, given.learning_rate) == (0.1, 0.0009)
    others = load().config.training_hyperparameters
    assert (others.dropout, others.learning_rate, others.repetition_fraction) == (0.2, 0.0003, 0.15)
    made = PipelineConfiguration(
        corpus_source="sample", training_hyperparameters=TrainingHyperparameters(num_epochs=3)
    )
    expected = TrainingHyperparameters(
        num_epochs=3, dropout=0, learning_rate=0.0009, repetition_fraction=0.25
    )
    assert made.training_hyperparameters == expected


def test_settings_are_json():
    """A flattened configuration is plain JSON, with sets sorted."""
    config = load(flags={"skip_phases": ["tokenizer_training,corpus_download"]}).config
    assert json.loads(json.dumps(config.flatten()))["skip_phases"] == [
        "corpus_download",
        "tokenizer_training",
    ]


@pytest.mark.parametrize("name", ["output_directory", "corpus_source"])
@pytest.mark.parametrize("origin", ["flag", "variable", "file"])
def test_a_tilde_is_the_home_directory(tmp_path, monkeypatch, name, origin):
    """A shell replaces it only at the beginning of a word; here it counts wherever a path comes from."""
    monkeypatch.setenv("HOME", "/home/ana")
    file = tmp_path / "run.toml"
    file.write_text(f'{name} = "~/x"\n' if origin == "file" else "")
    flags = {name: "~/x"} if origin == "flag" else {}
    environment = {f"SEMILLA_{name.upper()}": "~/x"} if origin == "variable" else {}
    loaded = load_configuration(flags=flags, environment=environment, file=file)
    assert loaded.config.flatten()[name] == "/home/ana/x"


def test_a_home_directory_that_does_not_exist_is_refused():
    """No folder with a tilde in its name is created by mistake; with ``./`` before it, it is a name like any other."""
    with pytest.raises(InvalidConfigError, match=r"write \./~nobody-here for a folder of that name"):
        load_configuration(flags={"output_directory": "~nobody-here/x"}, environment={})
    config = load_configuration(flags={"output_directory": "./~x"}, environment={}).config
    assert config.output_directory == "./~x"
