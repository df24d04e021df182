"""Every setting on one page.

``PipelineConfiguration`` has the specification's fields, followed by our own optional ones. Flags, environment
variables, the configuration file, ``config schema`` and the guide's table are derived from it; the docstring under
each field is its help text. Field names are unique across the groups, so elsewhere they are flat: ``--num-layers``,
``SEMILLA_NUM_LAYERS``, and in TOML at the top level or under ``[model_architecture]``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_serializer,
    model_validator,
)

from semilla.configuration.encodings import check_encoding
from semilla.errors import Mistake
from semilla.system.paths import expand_home

CorpusPhase = Literal["corpus_download", "tokenizer_training"]


def _one_line(text: str) -> str:
    if "\0" in text or "\n" in text:
        raise ValueError("must not contain line breaks or NUL characters")
    return text


def _read_path(text: str) -> str:
    return expand_home(_one_line(text))


def _join_lines(value: Any) -> Any:
    """A list, as a configuration file may have, becomes lines."""
    is_list = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
    return "\n".join(value) if is_list and value else value


def _read_sources(text: str) -> str:
    lines = text.split("\n")
    if not all(lines):
        raise ValueError("must not contain empty lines")
    return "\n".join(map(_read_path, lines))


class Group(BaseModel):
    """Base of the configuration's objects: immutable, no unknown names, descriptions from docstrings."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


AnyGroup = TypeVar("AnyGroup", bound=Group)


def find_head_mistake(d_model: int, num_heads: int) -> Mistake | None:
    """Check that the heads divide the width into even parts: rotary embeddings rotate pairs of numbers."""
    if d_model % num_heads == 0 and d_model // num_heads % 2 == 0:
        return None
    fitting = [heads for heads in range(1, 17) if d_model % (2 * heads) == 0]
    nearest = min(fitting, key=lambda heads: abs(heads - num_heads), default=None)
    return Mistake(
        "num_heads",
        num_heads,
        f"must divide d_model = {d_model} into an even width per head",
        nearest if nearest is not None else "none; make d_model even",
    )


class ModelArchitecture(Group):
    """Shape of the network. A checkpoint only fits the architecture it was trained with."""

    num_layers: int = Field(2, ge=1, le=12)
    """Number of transformer layers."""
    d_model: int = Field(128, ge=64, le=512)
    """Width of the embeddings and the residual stream; d_model / num_heads must be an even integer."""
    num_heads: int = Field(4, ge=1, le=16)
    """Number of attention heads; must divide d_model."""
    dim_feedforward: int = Field(256, ge=128, le=2048)
    """Hidden width of the feed-forward layers."""
    tie_embeddings: bool = True
    """Use one matrix for both the input embedding and the output layer."""

    @model_validator(mode="after")
    def _check_heads(self) -> ModelArchitecture:
        mistake = find_head_mistake(self.d_model, self.num_heads)
        if mistake:
            raise ValueError(str(mistake))
        return self


class TrainingHyperparameters(Group):
    """Optimization settings. They may change when a run is resumed."""

    batch_size: int = Field(32, ge=1, le=128)
    """Sequences per optimizer step."""
    learning_rate: float = Field(3e-4, ge=1e-5, le=1e-2)
    """Base learning rate: the peak of the learning-rate schedule, before the multiplier of each parameter group; 0.0009
    by default for the sample stories."""
    num_epochs: int = Field(20, ge=1, le=100)
    """Number of passes over the training text."""
    early_stopping: int = Field(0, ge=0, le=20)
    """Epochs without a better validation loss after which the training cools down and ends; 0 trains all epochs. The
    dial uses 2."""
    max_sequence_length: int = Field(128, ge=32, le=2048)
    """Tokens per training sequence, and the model's context length."""
    optimizer: Literal["muon", "adamw"] = "muon"
    """muon: Muon for weight matrices and AdamW for embeddings and norms; adamw: AdamW for everything."""
    warmup_fraction: float = Field(0.005, ge=0, le=0.5)
    """Learning-rate warm-up: fraction of the steps over which the rate rises linearly, before its linear decay."""
    weight_decay: float = Field(0.1, ge=0, le=1)
    """Decoupled weight decay of the weight matrices; embeddings get three times as much. The dial uses 0.3."""
    dropout: float = Field(0.2, ge=0, le=0.5)
    """Dropout probability at the end of training; it rises linearly from zero. 0 by default for the sample stories,
    which a grammar tells: a network that learns them by heart has learned the grammar."""
    short_context_fraction: float = Field(0.3, ge=0, le=1)
    """Sequence-length warm-up: fraction of the steps, at the start, that train on sequences of half the length. A text
    of many documents that fit into a sequence has the repetition warm-up instead."""
    repetition_fraction: float = Field(0.15, ge=0, le=1)
    """Repetition warm-up: fraction of the steps, at the start, whose sequences repeat a short piece of text. It teaches
    a network to look up what a document has said, such as a name. Other texts have the sequence-length warm-up. 0.25 by
    default for the sample stories."""
    max_gradient_norm: float = Field(1.0, gt=0, le=100)
    """Gradient clipping: gradients with a larger norm are scaled down to this norm."""
    sampled_output_fraction: float = Field(0.9, ge=0, le=1)
    """Sampled softmax: fraction of the steps, at the start, that compute the loss over the batch's tokens and sampled
    negatives instead of the whole vocabulary."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of matrix products; auto measures which is faster on this processor."""
    language_balance: float = Field(0.0, ge=0, le=1)
    """Weighting of languages in training: 0 in proportion to their text, 1 equally, between them in proportion to size
    to the power of 1 - language_balance. Epoch length, validation and tokenizer stay the same."""
    num_threads: int = Field(0, ge=0, le=64)
    """Number of CPU threads; 0 uses one per available core."""


SAMPLE_SETTINGS = {"dropout": 0.0, "learning_rate": 9e-4, "repetition_fraction": 0.25}
"""What differs from the defaults when a network learns the sample stories."""


class PipelineConfiguration(Group):
    """Everything a run needs to go from text to a validated model."""

    corpus_source: Annotated[str, BeforeValidator(_join_lines), AfterValidator(_read_sources)] = Field(
        "gutenberg", min_length=1
    )
    """Training text: a catalogue name (gutenberg, gutenberg-large, sample), an http(s) URL, a data set
    (hf://datasets/OWNER/NAME), a file, a folder, a pattern such as 'notes/*.md', or - for standard input. Several are
    mixed; notes/=3 is seen three times in an epoch. docs/texts.md lists the formats."""
    corpus_size_mb: int = Field(3, ge=1, le=100_000)
    """Expected corpus size in MB, for the disk check; also the amount of text the sample source generates."""
    corpus_grade: int = Field(0, ge=0, le=3)
    """Words and plots of the sample source, from 1 (a young child's) to 3 (all); 0 chooses by corpus_size_mb."""
    tokenizer_vocab_size: int = Field(8000, ge=1000, le=32000)
    """Vocabulary size; a power of 2 is recommended."""
    tokenizer_model_type: Literal["unigram", "bpe", "char", "word"] = "unigram"
    """SentencePiece algorithm."""
    model_architecture: ModelArchitecture = ModelArchitecture()
    training_hyperparameters: TrainingHyperparameters = TrainingHyperparameters()
    output_directory: Annotated[str, AfterValidator(_read_path)] = Field("./data/", min_length=1)
    """Directory for everything the run creates."""
    resume_from_checkpoint: bool = False
    """Continue from existing checkpoints; without this flag, a terminal user is asked."""
    skip_phases: frozenset[CorpusPhase] = frozenset()
    """Phases to skip because their artifacts already exist: corpus_download, tokenizer_training."""

    start_from: Annotated[str, AfterValidator(_read_path)] = ""
    """Finished model to go on from: the directory of a run or a bundle, or a Hugging Face folder of a Llama with a
    SentencePiece tokenizer. Its tokenizer and shape are kept; empty trains a new model."""
    replay: float = Field(0.25, ge=0, le=0.9)
    """With start_from: share of the training that goes to the earlier model's own text, so that it is not forgotten."""
    minutes: float = Field(0.0, ge=0, le=100_000)
    """Minutes that the whole run may take: the settings that you leave open are then chosen for your text and this
    machine; 0 keeps the defaults. semilla plan shows what would be chosen."""
    corpus_mirrors: tuple[Annotated[str, Field(pattern=r"^https?://[^\s]+$")], ...] = ()
    """URLs of Gutenberg mirrors, tried in order instead of the public ones."""
    allow_partial: bool = False
    """Continue without books that cannot be downloaded, and record which; by default a missing book fails the run."""
    corpus_drift: Literal["record", "refuse"] = "record"
    """What to do when a book's text differs from the catalogue's: record it with a warning, or refuse it and fail."""
    corpus_encoding: Annotated[str, AfterValidator(check_encoding)] = "auto"
    """Encoding of files that are not UTF-8 and do not declare one: any that Python knows; auto means none."""
    corpus_languages: tuple[Annotated[str, Field(pattern=r"^[a-z]{2}$")], ...] = ()
    """Two-letter codes of the languages in a URL, file or folder; detected by default."""
    text_column: str = ""
    """Column with the text in CSV, JSON and Parquet files; found by its name or its length by default."""
    title_column: str = ""
    """Column with the titles in CSV, JSON and Parquet files."""
    layout: Literal["auto", "prose", "lines", "verbatim"] = "auto"
    """What becomes of the lines of a text: auto joins those that were wrapped; prose joins the lines of every
    paragraph; lines keeps every line; verbatim keeps every character."""
    dedupe: bool = False
    """Remove documents and paragraphs that are the same as an earlier one, or nearly, from your own text; without it
    they are counted."""
    repair: bool = False
    """Mend text that was encoded twice, such as Ã© for é; without it that is counted. Needs the extra text."""
    trust_tokenizer: bool = False
    """Let skip_phases use a tokenizer that no run in this directory made; it is loaded in a child process first."""
    max_validation_loss: float = Field(5.0, gt=0, le=20)
    """Gate: the best model's validation loss must be below this, in nats per token."""
    strict: bool = False
    """Fail the validation for missed targets (language, repetition, copying, overfitting) as well as missed gates."""
    seed: int = Field(0, ge=0, le=2**63 - 1)
    """Seed of weights, batch order, dropout and samples."""
    corpus_seed: int = Field(0, ge=0, le=2**63 - 1)
    """Seed of the generated stories of the sample source; separate, so that seed does not change the text."""
    checkpoint_every: int = Field(1, ge=1, le=100)
    """Epochs between epoch checkpoints; the newest three are kept."""
    checkpoint_seconds: float = Field(30.0, gt=0, le=86400)
    """Seconds between checkpoints within an epoch; the newest two are kept."""
    keep_epochs: bool = False
    """Keep int8 copies of the models after epochs 1, 2, 5, 10, 20, 50 and 100; model.html writes with each of them."""
    tracker: Literal["none", "tensorboard", "trackio", "mlflow"] = "none"
    """Program that plots the metrics during the run; each needs the extra of its name."""
    keep_models: int = Field(5, ge=0, le=1000)
    """Number of earlier finished models to keep in models/X.Y.Z when another is trained in the same directory."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "cpu"
    """Device to train on: an NVIDIA GPU (cuda), the GPU of an Apple chip (mps), or the best that is there (auto)."""

    @model_validator(mode="before")
    @classmethod
    def _suit_sample(cls, values: Any) -> Any:
        """The sample source has some settings of its own, unless they are set."""
        if not isinstance(values, dict) or values.get("corpus_source") != "sample":
            return values
        given = values.get("training_hyperparameters", {})
        if isinstance(given, TrainingHyperparameters):
            given = given.model_dump(exclude_unset=True)
        if not isinstance(given, dict):
            return values
        return {**values, "training_hyperparameters": {**SAMPLE_SETTINGS, **given}}

    @field_serializer("skip_phases", when_used="json")
    def _sort_phases(self, phases: frozenset[CorpusPhase]) -> list[CorpusPhase]:
        return sorted(phases)

    def list_given(self) -> set[str]:
        """Names of the settings that were set, also by the sample source, and of groups that hold such."""
        return self.model_fields_set.union(*(getattr(self, group).model_fields_set for group in GROUPS))

    def change(self, **values: Any) -> PipelineConfiguration:
        """A copy with other values of some settings, in whatever group. They do not count as set by the user."""
        return _change(self, values | {group: _change(getattr(self, group), values) for group in GROUPS})

    def flatten(self) -> dict[str, Any]:
        """Return every setting under its own name, without groups, as plain JSON values."""
        flat: dict[str, Any] = {}
        for name, value in self.model_dump(mode="json").items():
            flat.update(value if isinstance(value, dict) else {name: value})
        return flat


GROUPS: dict[str, type[Group]] = {
    "model_architecture": ModelArchitecture,
    "training_hyperparameters": TrainingHyperparameters,
}


def _change(settings: AnyGroup, values: dict[str, Any]) -> AnyGroup:
    own = {name: value for name, value in values.items() if name in type(settings).model_fields}
    changed = settings.model_copy(update=own)
    changed.model_fields_set.intersection_update(settings.model_fields_set)
    return changed
