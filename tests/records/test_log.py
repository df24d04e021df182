"""The log of a run never decides how the run ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tiny_training import mount

from semilla.records import names
from semilla.records.log import logger, record_log


def test_a_full_disk_under_the_log_changes_no_exit_code(tmp_path: Path) -> None:
    """Neither a record that does not fit nor the attempt to write it when the log is closed is an error."""
    with mount(tmp_path / "small", "size=4k") as place, record_log(place):
        for _ in range(200):
            logger.warning("ñ" * 1000)
    with record_log(tmp_path) as tail:
        logger.warning("hola")
    assert "hola" in tail.text


def test_a_limit_on_file_size_under_the_log_is_no_error_either(tmp_path: Path) -> None:
    """The kernel sends no signal that ends the process, and closing raises nothing."""
    code = (
        "import resource, sys; from pathlib import Path; from semilla.records.log import logger, record_log\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "with record_log(Path(sys.argv[1])): logger.warning('x' * 5000)\n"
        "sys.exit(5)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (5, b"")


def test_a_log_that_cannot_be_opened_is_no_error(tmp_path: Path) -> None:
    """Such as a folder of its name."""
    (tmp_path / names.LOG).mkdir()
    with record_log(tmp_path):
        logger.warning("hola")
