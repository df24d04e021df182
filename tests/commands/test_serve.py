"""``semilla serve`` as a person starts and stops it."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_bundle import write_tiny_bundle

from semilla import cli


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_it_says_where_it_is_and_stops_without_an_error(tmp_path: Path, number: signal.Signals) -> None:
    """One line on standard output; a signal is the usual end of a server."""
    write_tiny_bundle(tmp_path / "river")
    command = [sys.executable, "-P", "-m", "semilla", "serve", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.fullmatch(
                r"Serving at http://127\.0\.0\.1:(\d+)/ \(Ctrl-C stops it\)\n", process.stdout.readline()
            )
            assert found
            connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=60)
            connection.request("GET", "/v1/models")
            assert b'"river"' in connection.getresponse().read()
            connection.close()
            process.send_signal(number)
            output, errors = process.communicate(timeout=60)
            assert (process.returncode, output, errors) == (0, "", "")
        finally:
            process.kill()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"], ids=["address", "token"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_right_after_the_first_line_stops_it_without_an_error(
    tmp_path: Path, number: signal.Signals, host: str
) -> None:
    """Sent as soon as anything can be read: the server has hardly begun to run."""
    command = [sys.executable, "-P", "-m", "semilla", "serve", str(tmp_path), "--port", "0", "--host", host]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("Serving at http://")
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)
            assert (process.returncode, errors) == (0, "")
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "there is no folder nowhere"),
        (["--port", "99999"], "--port must be 0 to 65535"),
        (["--max-tokens", "0"], "--max-tokens must be 1 to 1000000"),
        (["--host", "no such name"], "--host no such name: there is no such address"),
    ],
)
def test_mistakes_are_told_before_anything_starts(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["serve", *words]) == 64
    assert message in capsys.readouterr().err


def test_a_port_in_use_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a command that takes a free one."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert cli.main(["serve", str(tmp_path), "--port", str(port)]) == 64
    errors = capsys.readouterr().err
    assert f"port {port} is in use" in errors
    assert "semilla serve --port 0" in errors
