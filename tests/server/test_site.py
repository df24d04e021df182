"""The pages for people: they show runs, and nothing in a run becomes markup or leads out of its folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from recorded_runs import ATTACK, set_running
from report.conftest import make_run  # noqa: F401 - a fixture
from serving import Served, serve
from small_runs import hash_tree

from semilla.errors import PHASES
from semilla.events import StepDone
from semilla.records import names
from semilla.records.lock import has_living_holder, hold_lock
from semilla.report.runs import RecordedRun
from semilla.server.documents import write_policy
from semilla.server.guard import Access
from semilla.server.live import list_losses, measure_time
from semilla.terminal.run_view import RunView

MakeRun = Callable[..., RecordedRun]

HTML = {"Accept": "text/html"}
TOKEN = "a-token-of-enough-characters"


def get(served: Served, path: str, **headers: str) -> tuple[int, str]:
    status, _, body = served.ask(path, headers=HTML | headers)
    return status, body.decode()


@pytest.fixture
def site(make_run: MakeRun, tmp_path: Path) -> Iterator[Served]:  # noqa: F811
    first = make_run("first", title=ATTACK, samples=[ATTACK, ATTACK])
    assert first.metrics is not None
    first.metrics.epoch_history[-1].sample_outputs = [ATTACK, ATTACK]
    first.metrics.write(first.directory / names.METRICS)
    make_run("second", losses=(5.0, 4.0), seed=3)
    with serve(tmp_path) as served:
        yield served


def test_runs_are_listed_with_their_results(site: Served) -> None:
    status, page = get(site, "/")
    assert status == 200
    assert 'href="/runs/first"' in page
    assert 'value="second"' in page
    assert "No model is finished yet." in page


@pytest.mark.parametrize("path", ["/", "/runs/first", "/sign-in", "/nothing", "/runs/nothing"])
def test_the_own_pages_have_no_inline_script_or_style(site: Served, path: str) -> None:
    """So the policy, which allows none, breaks nothing."""
    _, headers, body = site.ask(path, headers=HTML)
    page = body.decode()
    assert headers.get_content_type() == "text/html"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert re.search(r"<script(?![^>]* src=)|<style|<[^>]*\s(style|on\w+)=|javascript:", page) is None


def test_a_page_shows_phases_and_samples(site: Served) -> None:
    status, page = get(site, "/runs/second")
    assert status == 200
    for expected in ("model training", "complete", "Epoch 2", 'href="/reports/second"'):
        assert expected in page


def test_the_report_is_that_of_the_command_and_runs_in_a_sandbox(site: Served) -> None:
    """Its styles are allowed by their hash; it may not reach the site."""
    status, headers, body = site.ask("/reports/first", headers=HTML)
    assert status == 200
    assert b"All gates passed" in body
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-scripts")
    assert "same-origin" not in policy
    assert "style-src 'sha256-" in policy
    assert "unsafe" not in policy


def test_chosen_runs_are_compared(site: Served) -> None:
    """With the comparison of the report; fewer than two, or one that is not there, is told."""
    status, page = get(site, "/compare?run=first&run=second")
    assert status == 200
    assert "Settings that differ" in page
    assert get(site, "/compare?run=first&run=first")[0] == 400
    assert get(site, "/compare?run=first&run=other")[0] == 404


@pytest.mark.parametrize(
    "path",
    ["/", "/runs/first", "/reports/first", "/compare?run=first&run=second", f"/runs/{ATTACK}"],
    ids=["list", "run", "report", "comparison", "error"],
)
def test_nothing_in_a_run_becomes_markup(site: Served, path: str) -> None:
    _, page = get(site, path.replace("<", "%3C").replace(">", "%3E").replace(" ", "%20"))
    assert "<script>alert" not in page
    assert "<img src=x" not in page


@pytest.mark.parametrize(
    "path",
    ["/runs/..%2f..%2fetc", "/pages/../first", "/reports/%2e%2e/first", "/assets/..%2fsite.py", "/live//etc",
     "/assets/base.html.jinja", "/pages/first/pipeline_status.json", "/talk/first%00"],
)  # fmt: skip
def test_no_address_leads_out_of_the_runs(site: Served, path: str) -> None:
    assert get(site, path)[0] == 404


def test_a_run_with_a_link_is_not_served(make_run: MakeRun, tmp_path: Path) -> None:  # noqa: F811
    """The link could lead out of the folder."""
    run = make_run("first")
    (tmp_path / "secret.html").write_text("secret", encoding="utf-8")
    (run.directory / names.PAGE).symlink_to(tmp_path / "secret.html")
    with serve(tmp_path) as served:
        assert get(served, "/runs/first")[0] == 404
        assert get(served, "/pages/first")[0] == 404


def test_the_page_of_a_model_has_only_the_scripts_of_its_policy() -> None:
    """A page without a policy of its own has none; a policy cannot ask for more."""
    own = "'sha256-" + "A" * 43 + "='"
    page = f'<meta http-equiv="Content-Security-Policy" content="script-src {own}; style-src * \'unsafe-inline\'">'
    assert f"script-src {own}; style-src 'none'" in write_policy(page)
    assert "script-src 'none'; style-src 'none'" in write_policy("<script>alert(1)</script>")


def test_the_page_of_a_model_is_the_file_of_the_run(make_run: MakeRun, tmp_path: Path) -> None:  # noqa: F811
    run = make_run("first")
    (run.directory / names.PAGE).write_text("<p>¡hola!</p>", encoding="utf-8")
    with serve(tmp_path) as served:
        assert get(served, "/pages/first") == (200, "<p>¡hola!</p>")
        assert 'href="/pages/first"' in get(served, "/runs/first")[1]


def test_a_running_run_is_followed_until_it_ends(make_run: MakeRun, tmp_path: Path) -> None:  # noqa: F811
    """Events say what changed; the last one is ``end``."""
    run = make_run("first")
    finished = (run.directory / names.STATUS).read_bytes()
    set_running(run.directory)
    with serve(tmp_path) as served, hold_lock(run.directory), served.connect() as connection:
        connection.sendall(
            f"GET /live/first HTTP/1.1\r\nHost: {served.host}\r\nConnection: close\r\n\r\n".encode()
        )
        stream = connection.makefile("rb")
        first = next(line for line in stream if line.startswith(b"data: "))
        shown = json.loads(first.removeprefix(b"data: "))
        assert shown["state"] == "running"
        assert shown["phases"][3] == {**shown["phases"][3], "name": "model training", "outcome": "running"}
        assert len(shown["samples"]) == 3
        (run.directory / "status").write_bytes(finished)
        (run.directory / "status").replace(run.directory / names.STATUS)  # as a run does: never half a file
        rest = stream.read()
    assert b'"state":"complete"' in rest
    assert b"event: end" in rest


def test_a_run_whose_process_was_killed_is_interrupted(make_run: MakeRun, tmp_path: Path) -> None:  # noqa: F811
    """The number in its lock file belongs to nobody, also while nobody has asked for the exit code."""
    run = make_run("first")
    set_running(run.directory)
    program = f"""
import sys, time
from pathlib import Path
from semilla.records.lock import hold_lock
with hold_lock(Path({str(run.directory)!r})):
    print("held", flush=True)
    time.sleep(600)
"""
    with (
        subprocess.Popen([sys.executable, "-P", "-c", program], stdout=subprocess.PIPE) as holder,
        serve(tmp_path) as served,
    ):
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert has_living_holder(run.directory)
        assert 'class="state running"' in get(served, "/runs/first")[1]
        holder.kill()
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
        assert not has_living_holder(run.directory)
        assert 'class="state interrupted"' in get(served, "/runs/first")[1]


def test_the_time_of_a_run_grows_with_its_current_phase(make_run: MakeRun) -> None:  # noqa: F811
    """It is that of the finished phases, and of the one that goes on."""
    run = make_run("first")
    status = run.status
    finished_s = sum(status.phase_timings.values())
    assert measure_time(run.directory, status) == finished_s
    status.run_state, status.current_phase = "running", "model_training"
    del status.completed_phases[3:]
    minute_ago = datetime.now(UTC) - timedelta(minutes=1)
    status.phase_records[status.completed_phases[-1]].finished_at = minute_ago.isoformat()
    assert measure_time(run.directory, status) >= 60 + sum(
        status.phase_timings.get(phase, 0.0) for phase in PHASES[:4]
    )


def test_a_killed_server_leaves_the_run_as_it_is(make_run: MakeRun, tmp_path: Path) -> None:  # noqa: F811
    """Also while it follows the run; the next server follows it again."""
    run = make_run("first")
    set_running(run.directory)
    command = [sys.executable, "-P", "-m", "semilla", "serve", str(tmp_path), "--port", "0"]
    with hold_lock(run.directory):
        before = hash_tree(tmp_path)
        for _ in range(2):
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
                assert server.stdout is not None
                found = re.search(r"//([^/]+)/", server.stdout.readline())
                assert found is not None
                with urllib.request.urlopen(f"http://{found[1]}/live/first") as events:
                    assert b'"state":"running"' in events.readline()
                    server.kill()
                    server.wait()
        assert hash_tree(tmp_path) == before
        assert has_living_holder(run.directory)


def test_looking_on_changes_no_run(site: Served, tmp_path: Path) -> None:
    """No file is written, and none appears, whatever is looked at."""
    before = hash_tree(tmp_path), sorted(map(str, tmp_path.rglob("*")))
    for path in (
        "/",
        "/runs/first",
        "/reports/first",
        "/compare?run=first&run=second",
        "/live/first",
        "/talk/first",
    ):
        get(site, path)
    assert (hash_tree(tmp_path), sorted(map(str, tmp_path.rglob("*")))) == before


def test_a_damaged_run_is_shown_as_such(make_run: MakeRun, tmp_path: Path) -> None:  # noqa: F811
    """It does not keep the others from being listed."""
    make_run("sound")
    (make_run("broken").directory / names.STATUS).write_text("{", encoding="utf-8")
    with serve(tmp_path) as served:
        status, page = get(served, "/")
        assert status == 200
        assert "damaged" in page
        assert 'href="/runs/sound"' in page
        assert get(served, "/runs/broken")[0] == 500


def test_losses_of_a_heartbeat_get_their_steps() -> None:
    """Its values are means over equal numbers of steps, and the rest is not yet one."""
    step = StepDone(11, 20, 1, 2, 3.0, 1e-3, 100.0, 9.0)
    view = RunView("", step=step, losses=[5.0, 4.0])
    assert list_losses(view) == [(4, 5.0), (8, 4.0)]
    assert list_losses(RunView("", losses=[5.0, 4.0])) == [(1, 5.0), (2, 4.0)]


def test_a_browser_signs_in_with_the_token(make_run: MakeRun, tmp_path: Path) -> None:  # noqa: F811
    """The cookie opens the site; it is not the token, and scripts cannot read it."""
    make_run("first")
    with serve(tmp_path, access=Access("0.0.0.0", TOKEN)) as served:
        status, headers, _ = served.ask("/", headers=HTML)
        assert (status, headers["Location"]) == (303, "/sign-in")
        assert served.ask("/sign-in", b"token=wrong", headers=HTML)[0] == 403
        status, headers, _ = served.ask("/sign-in", f"token={TOKEN}".encode(), headers=HTML)
        assert status == 303
        cookie, *options = headers["Set-Cookie"].split("; ")
        assert {"HttpOnly", "SameSite=strict"} <= set(options)
        assert TOKEN not in cookie
        assert get(served, "/", Cookie=cookie)[0] == 200
        assert served.ask("/", headers=HTML | {"Cookie": cookie[:-1]})[0] == 303


def test_a_model_has_a_page_to_write_with(models_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(models_dir / "river", tmp_path / "río & mar")
    with serve(tmp_path) as served:
        assert 'href="/talk/r%C3%ADo%20%26%20mar"' in get(served, "/")[1]
        status, page = get(served, "/talk/r%C3%ADo%20%26%20mar")
        assert status == 200
        assert 'data-model="río &amp; mar"' in page
