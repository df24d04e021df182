"""The specification's ValidationResults: what the validation measured, and how each figure was judged."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Literal

from pydantic import Field

from semilla.records.record import Record
from semilla.records.sample import Sample, recall_samples

Kind = Literal["gate", "target"]
Comparison = Literal["<", "<=", ">", ">="]

_COMPARISONS: dict[Comparison, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


_TOPICS = {"minimal_pairs": "minimal_pairs", "invented_words": "samples", "ended": "stopping"}


class InferenceMetrics(Record):
    """The model on the small machine: one next-token step at full context, and the memory of a fresh process (MiB)."""

    latency_p95_ms: int
    latency_p95_us: float
    latency_p50_us: float
    latency_p99_us: float
    first_token_ms: float
    tokens_per_sec: float
    rss_mb: int
    peak_mb: int

    @property
    def exact_latency_p95_ms(self) -> float:
        """The 95th percentile as it is shown everywhere, and compared with its gate: in milliseconds, two decimals."""
        return round(self.latency_p95_us / 1000, 2)


class Finding(Record):
    """One gate or target: a measured value and its threshold."""

    name: str
    kind: Kind
    value: float | None
    threshold: float
    comparison: Comparison
    unit: str = ""
    passed: bool

    @classmethod
    def judge(
        cls, name: str, kind: Kind, value: float, comparison: Comparison, threshold: float, *, unit: str = ""
    ) -> Finding:
        """Compare ``value`` with its threshold. NaN and infinity count as not measured, and do not pass."""
        is_measured = math.isfinite(value)
        return cls(
            name=name,
            kind=kind,
            value=value if is_measured else None,
            threshold=threshold,
            comparison=comparison,
            unit=unit,
            passed=is_measured and _COMPARISONS[comparison](value, threshold),
        )

    @property
    def miss(self) -> str:
        """Distance between the value and its threshold."""
        return "an unknown amount" if self.value is None else f"{abs(self.value - self.threshold):.4g}"

    @property
    def topic(self) -> str:
        """The guide entry that explains a miss: ``language.en`` -> language, ``int8_cost`` -> int8."""
        head = self.name.split(".")[0]
        return _TOPICS.get(head) or head.split("_")[0]

    def __str__(self) -> str:
        value = "not measured" if self.value is None else f"{self.value:.4g}"
        needed = f"{self.comparison} {self.threshold:g} {self.unit}".rstrip()
        return f"{self.name} = {value} (needs {needed})"


class PairAccuracy(Record):
    """Share of minimal pairs in which the model prefers the grammatical sentence, with its 95 % Wilson interval."""

    accuracy: float
    low: float
    high: float
    num_pairs: int


class GrammarResults(PairAccuracy):
    """Minimal-pair results of one language, in total and per phenomenon."""

    coverage: float
    """Share of the pairs whose words all occur in the training text. Only these pairs count."""
    phenomena: dict[str, PairAccuracy]


class CoherenceResults(Record):
    """Stories without a contradiction that the model ended itself, with the 95 % interval of their share."""

    share: float
    low: float
    high: float
    num_stories: int
    contradictions: dict[str, int] = Field(default_factory=dict)
    """Kind of contradiction -> in how many stories it occurs."""
    examples: dict[str, str] = Field(default_factory=dict)
    """Kind of contradiction -> a sentence."""


class ValidationResults(Record):
    """Quality checks after training. Losses are in nats per token."""

    sample_generations: list[str]
    """Prompt and continuation of a few samples, in one text."""
    final_train_loss: float
    final_val_loss: float
    inference_metrics: InferenceMetrics
    constitutional_compliance: bool
    best_val_loss: float
    bits_per_byte: dict[str, float]
    findings: list[Finding]
    minimal_pairs: dict[str, GrammarResults] = Field(default_factory=dict)
    """By language. A language is missing when the training text lacks the words."""
    coherence: dict[str, CoherenceResults] = Field(default_factory=dict)
    """By language, for a model of the embedded stories."""
    samples: list[Sample] = Field(default_factory=list)
    """The samples of ``sample_generations``, with prompt and continuation apart."""
    copying_longest: int | None = None
    """Tokens of the longest passage of training text copied in a sample; None in runs that did not record it."""

    invented_examples: list[str] = Field(default_factory=list)
    """Invented words, the most frequent first: words of the samples that are in no text of the corpus."""

    def list_samples(self) -> list[Sample]:
        return recall_samples(self.samples, self.sample_generations)
