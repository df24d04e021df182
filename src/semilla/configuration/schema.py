"""Every knob on one page.

``PipelineConfiguration`` is the specification's, field for field, followed by our own knobs, each optional. Flags,
environment variables, the configuration file, ``config schema`` and the guide's table are all derived from it.
Field names are unique across the groups, so outside the object they stand flat: ``--num-layers``,
``SEMILLA_NUM_LAYERS``, and in TOML at the top or under ``[model_architecture]``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from semilla.errors import Mistake

CorpusPhase = Literal["corpus_download", "tokenizer_training"]


def _one_line(text: str) -> str:
    if "\0" in text or "\n" in text:
        raise ValueError("must not contain line breaks or NUL characters")
    return text


class Group(BaseModel):
    """Base of the configuration's objects: immutable, unknown names refused, help taken from docstrings."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


def find_head_mistake(d_model: int, num_heads: int) -> Mistake | None:
    """Check that heads divide the width into even parts (rotary positions turn pairs of numbers)."""
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
    """Shape of the network; a checkpoint only fits the architecture it was trained with."""

    num_layers: int = Field(2, ge=1, le=12)
    """Transformer layers."""
    d_model: int = Field(128, ge=64, le=512)
    """Width of the embeddings and of the residual stream; a multiple of num_heads, with an even quotient."""
    num_heads: int = Field(4, ge=1, le=16)
    """Attention heads; must divide d_model."""
    dim_feedforward: int = Field(256, ge=128, le=2048)
    """Hidden width of the feed-forward blocks."""
    tie_embeddings: bool = True
    """Share one matrix between the input embedding and the output layer."""

    @model_validator(mode="after")
    def _check_heads(self) -> ModelArchitecture:
        mistake = find_head_mistake(self.d_model, self.num_heads)
        if mistake:
            raise ValueError(str(mistake))
        return self


class TrainingHyperparameters(Group):
    """Optimization settings; they may differ when a run is resumed."""

    batch_size: int = Field(32, ge=1, le=128)
    """Sequences per optimizer step."""
    learning_rate: float = Field(3e-4, ge=1e-5, le=1e-2)
    """Base learning rate: the peak of the schedule, before each parameter group's multiplier."""
    num_epochs: int = Field(20, ge=1, le=100)
    """Complete passes through the training text."""
    max_sequence_length: int = Field(128, ge=32, le=2048)
    """Tokens per sequence: the context the model learns to use."""
    optimizer: Literal["muon", "adamw"] = "muon"
    """muon: Muon for the matrices with AdamW for embeddings and norms; adamw: AdamW for everything."""
    warmup_fraction: float = Field(0.005, ge=0, le=0.5)
    """Share of all steps over which the learning rate rises linearly; it falls linearly after that."""
    weight_decay: float = Field(0.1, ge=0, le=1)
    """Decoupled weight decay of the matrices; that of the embeddings is three times as strong."""
    dropout: float = Field(0.2, ge=0, le=0.5)
    """Probability of dropping an activation at the end of the training, to which it rises from zero."""
    short_context_fraction: float = Field(0.3, ge=0, le=1)
    """Share of the steps, from the first, that read every sequence as two of half its length."""
    max_gradient_norm: float = Field(1.0, gt=0, le=100)
    """Gradients with a larger norm are scaled down to it."""
    sampled_output_fraction: float = Field(0.9, ge=0, le=1)
    """Share of the steps, from the first, that score the tokens at hand and a sample of the others, not all."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the matrix products; auto measures which is faster on this processor."""
    language_balance: float = Field(0.0, ge=0, le=1)
    """Share of training given to each language: 0 as the text has it, 1 the same to all; in between, size to the power
    of 1 - language_balance. An epoch stays as long; what is validated and the tokenizer do not change."""
    num_threads: int = Field(0, ge=0, le=64)
    """Processor threads; 0 takes one per core available."""


class PipelineConfiguration(Group):
    """All a run needs to go from text to a validated model."""

    corpus_source: Annotated[str, AfterValidator(_one_line)] = Field("gutenberg", min_length=1)
    """Text to learn from: a catalogue name (gutenberg, gutenberg-large, sample), an http(s) URL, a file, or a
    folder of .txt files."""
    corpus_size_mb: int = Field(3, gt=0, le=100_000)
    """Expected corpus size in MB, for the disk check; also how much text the sample source generates."""
    tokenizer_vocab_size: int = Field(8000, ge=1000, le=32000)
    """Pieces in the vocabulary; a power of 2 is recommended."""
    tokenizer_model_type: Literal["unigram", "bpe", "char", "word"] = "unigram"
    """SentencePiece algorithm."""
    model_architecture: ModelArchitecture = ModelArchitecture()
    training_hyperparameters: TrainingHyperparameters = TrainingHyperparameters()
    output_directory: Annotated[str, AfterValidator(_one_line)] = Field("./data/", min_length=1)
    """Where artifacts are saved."""
    resume_from_checkpoint: bool = False
    """Continue from existing checkpoints; without a choice, asked for on a terminal."""
    skip_phases: frozenset[CorpusPhase] = frozenset()
    """Phases to skip because their artifacts already exist: corpus_download, tokenizer_training."""

    corpus_mirrors: tuple[Annotated[str, Field(pattern=r"^https?://[^\s]+$")], ...] = ()
    """Addresses laid out like a Gutenberg mirror, tried in order instead of the public ones."""
    allow_partial: bool = False
    """Go on without the books that cannot be downloaded, and record which; otherwise one missing book fails the run."""
    corpus_drift: Literal["record", "refuse"] = "record"
    """What to do when a book's text is not the one the catalogue knows: record it with a warning, or fail."""
    corpus_encoding: Literal["auto", "utf-8", "latin-1", "cp1252"] = "auto"
    """Encoding of files that do not declare one; auto is strict UTF-8 unless a Gutenberg header says otherwise."""
    corpus_languages: tuple[Annotated[str, Field(pattern=r"^[a-z]{2}$")], ...] = ()
    """Two-letter codes of the languages in a URL, file or folder; detected when not given."""
    trust_tokenizer: bool = False
    """Let skip_phases take a tokenizer that no run in this directory made; it is tried in a child process first."""
    max_validation_loss: float = Field(5.0, gt=0, le=20)
    """Gate: the best model's validation loss, in nats per token, must be below this."""
    strict: bool = False
    """Let missed targets (language, repetition, copying, overfitting) fail the validation, not only missed gates."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Seed of weights, batch order, dropout and samples."""
    corpus_seed: int = Field(0, ge=0, lt=2**63)
    """Seed of the stories that the sample source tells: its own, so that runs with other seeds have the same text."""
    checkpoint_every: int = Field(1, ge=1, le=100)
    """Epochs between epoch checkpoints; the newest three are kept."""
    checkpoint_seconds: float = Field(30.0, gt=0, le=86400)
    """Seconds between checkpoints inside an epoch; the newest two are kept."""
    tracker: Literal["none", "tensorboard"] = "none"
    """Program that draws the figures while the run goes on; tensorboard needs the extra of that name."""
    keep_models: int = Field(5, ge=0, le=1000)
    """Earlier finished models kept in models/X.Y.Z when another is trained in the same directory, the newest first."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the training runs."""

    def flatten(self) -> dict[str, Any]:
        """Every setting under its own name, groups dissolved, as plain JSON values."""
        flat: dict[str, Any] = {}
        for name, value in self.model_dump(mode="json").items():
            flat.update(value if isinstance(value, dict) else {name: value})
        return {**flat, "skip_phases": sorted(flat["skip_phases"])}


GROUPS: dict[str, type[Group]] = {
    "model_architecture": ModelArchitecture,
    "training_hyperparameters": TrainingHyperparameters,
}
