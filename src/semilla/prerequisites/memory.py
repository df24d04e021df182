"""Memory: what training needs, compared with what this process may use."""

from __future__ import annotations

from semilla.configuration.schema import PipelineConfiguration
from semilla.configuration.settings import to_command
from semilla.corpus.catalogue import expect_size_mb
from semilla.corpus.manifest import LARGE_BYTES
from semilla.errors import OutOfMemoryError
from semilla.prerequisites.check import Check, fail_check, pass_check
from semilla.prerequisites.storage import MIB, measure_source_bytes
from semilla.system.memory import measure_available_mb
from semilla.training.memory import (
    CORPUS_FACTOR,
    estimate_run_memory_mb,
    find_fitting_batch_size,
)

RESERVE = 0.10
"""Share of the available memory that is left for the rest of the machine."""


def check_memory(config: PipelineConfiguration, *, torch_mb: float | None = None) -> Check:
    """Compare; ``torch_mb`` is what importing torch takes here, if it was measured."""
    text_mb = min(measure_source_bytes(config), LARGE_BYTES) / MIB
    expected_mb = expect_size_mb(config.corpus_source, config.corpus_size_mb)
    more_mb = CORPUS_FACTOR * max(0.0, text_mb - expected_mb)
    need_mb = estimate_run_memory_mb(config, torch_mb=torch_mb) + more_mb
    budget_mb = measure_available_mb() * (1 - RESERVE)
    found, needed = f"{budget_mb:,.0f} MB (10 % kept free)", f"about {need_mb:,.0f} MB"
    if need_mb <= budget_mb:
        return pass_check("memory", found=found, needed=needed)
    cause = f"the run needs {needed} of memory, and {found} is available"
    # Every worker process needs memory of its own. A single process takes longer and learns as much from a batch.
    alone = config.change(num_threads=1)
    fitting = find_fitting_batch_size(alone, budget_mb=budget_mb - more_mb, torch_mb=torch_mb)
    batch_size = config.training_hyperparameters.batch_size
    alone_mb = estimate_run_memory_mb(alone, torch_mb=torch_mb) + more_mb
    changes = {} if need_mb == alone_mb else {"num_threads": 1}
    if fitting is None:
        error = OutOfMemoryError(
            f"{cause}; not even one sequence at a time surely fits: reduce max_sequence_length or the size of the model"
        )
    else:
        solutions = ["train in one process (num_threads 1)"] if changes else []
        if fitting < batch_size:
            changes["batch_size"] = fitting
            solutions.append(
                f"reduce batch_size from {batch_size} to {fitting}, the largest that surely fits"
            )
        message = f"{cause}; {' and '.join(solutions)}"
        error = OutOfMemoryError(message, next_command=to_command(config, **changes))
    return fail_check("memory", error, found=found, needed=needed)
