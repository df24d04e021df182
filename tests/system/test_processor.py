"""What is known about the processor, from what Linux says about real ones."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest
from small_runs import assert_four_lines

from semilla import cli
from semilla.system import processor

EPYC = """processor\t: 0
model name\t: AMD EPYC 7713 64-Core Processor
flags\t\t: fpu sse sse2 ssse3 sse4_1 sse4_2 avx2 avx512_bf16

processor\t: 1
model name\t: another
"""
CORE_2 = """processor\t: 0
model name\t: Intel(R) Core(TM)2 Duo CPU T7300
flags\t\t: fpu sse sse2 ssse3
"""
RASPBERRY_PI = """processor\t: 0
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU part\t: {part}

"""


@pytest.fixture
def describe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a description in place of /proc/cpuinfo; None removes it."""

    def place(text: str | None) -> None:
        path = tmp_path / "cpuinfo"
        if text is not None:
            path.write_text(text, encoding="utf-8")
        monkeypatch.setattr(processor, "CPUINFO", path)

    return place


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (EPYC, "AMD EPYC 7713 64-Core Processor"),
        (RASPBERRY_PI.format(part="0xd08"), "ARM Cortex-A72"),
        (RASPBERRY_PI.format(part="0xfff"), "ARM 0xfff"),
        (RASPBERRY_PI.format(part="0x001").replace("0x41", "0x61"), "ARM 0x001 of implementer 0x61"),
    ],
)
def test_a_processor_has_a_name(describe, text: str, name: str) -> None:
    """ARM processors have a number in place of a name; the common ones are looked up."""
    describe(text)
    assert processor.read_processor_name() == name


def test_a_name_is_never_empty(describe) -> None:
    """Without /proc, Python's own words remain."""
    describe(None)
    assert processor.read_processor_name()
    assert processor.list_instruction_sets() == set()


def test_an_old_processor_is_refused_before_numpy_is_imported(describe, capsys) -> None:
    """Without SSE4.2 NumPy would end with "Illegal instruction"; the guide opens all the same."""
    describe(CORE_2)
    assert processor.lacks_core_instructions()
    assert cli.main(["check"]) == 1
    message = assert_four_lines(capsys.readouterr().err, category="dependency", phase="prerequisite_check")
    assert "Intel(R) Core(TM)2 Duo CPU T7300 has no SSE4.2" in message
    assert cli.main(["guide", "dependency"]) == 0
    describe(EPYC)
    assert not processor.lacks_core_instructions()


def test_arm_needs_no_sse(describe, monkeypatch: pytest.MonkeyPatch) -> None:
    describe(RASPBERRY_PI.format(part="0xd08"))
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert not processor.lacks_core_instructions()


def test_cores_are_those_this_process_may_use() -> None:
    """On Linux its affinity, elsewhere all there are."""
    assert processor.count_cores() == len(os.sched_getaffinity(0))


def test_x86_runs_threads() -> None:
    assert processor.can_run_threads()
