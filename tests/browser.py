"""A headless Chromium, driven over a pipe (the DevTools protocol): opens, photographs and inspects pages.

Nothing has to be installed for it but Chromium itself. Tests that want one skip where there is none;
``scripts/install-browser`` brings it, and axe-core with it.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[1]
AXE = ROOT / ".cache" / "axe" / "axe.min.js"
"""Where ``scripts/install-browser`` puts the accessibility checker."""
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --remote-debugging-pipe"
).split()
PIECE_HEIGHT = 1600
DESKTOP, PHONE, NARROW = (1280, 900), (390, 844), (320, 640)


def find_chromium() -> str | None:
    """The installed browser, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One Chromium with one page, a context manager. ``requests`` are the addresses that the page requested."""

    def __init__(self, program: str) -> None:
        self.requests: list[str] = []
        self._numbers = itertools.count(1)
        self._buffer = b""
        self._profile = tempfile.TemporaryDirectory(prefix="semilla-chromium-", ignore_cleanup_errors=True)
        commands_in, self._commands = os.pipe()
        self._answers, answers_out = os.pipe()
        self._process = _start(program, commands_in, answers_out, profile=self._profile.name)
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session: str | None = None
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self._call(f"{domain}.enable")

    @property
    def process_id(self) -> int:
        return self._process.pid

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._session = None
        self._call("Browser.close")
        self._process.wait(timeout=30)
        for end in (self._commands, self._answers):
            os.close(end)
        self._profile.cleanup()

    def show(
        self,
        page: Path | str,
        *,
        size: tuple[int, int] = DESKTOP,
        scheme: str = "light",
        media: str = "screen",
    ) -> None:
        """Open a file or an address in a window of ``size`` CSS pixels.

        ``scheme`` is light or dark, ``media`` screen or print.
        """
        width, height = size
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", media=media, features=features)
        self._call("Page.navigate", url=page if isinstance(page, str) else page.resolve().as_uri())
        self._wait_for("Page.loadEventFired")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; a promise is awaited."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:500])
        return answer["result"].get("value")

    def write(self, text: str) -> None:
        """Type ``text`` into the element that has the focus."""
        self._call("Input.insertText", text=text)

    def photograph(self, path: Path) -> list[Path]:
        """Save the whole page as PNG, in pieces of at most PIECE_HEIGHT: ``name-1.png`` and so on."""
        width, height = self.evaluate("[innerWidth, document.documentElement.scrollHeight]")
        paths = []
        for number, top in enumerate(range(0, height, PIECE_HEIGHT), start=1):
            clip = {"x": 0, "y": top, "width": width, "height": min(PIECE_HEIGHT, height - top), "scale": 1}
            answer = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
            paths.append(path.with_name(f"{path.stem}-{number}{path.suffix}"))
            paths[-1].write_bytes(base64.b64decode(answer["data"]))
        return paths

    def print_pdf(self, path: Path) -> None:
        """Save the page as it prints on A4."""
        answer = self._call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)
        path.write_bytes(base64.b64decode(answer["data"]))

    def find_barriers(self, impacts: tuple[str, ...] = ("serious", "critical")) -> list[str]:
        """Findings of axe-core with the given impacts, one line each: rule, help and the first element."""
        self.evaluate(AXE.read_text(encoding="utf-8") + ";true")
        found = self.evaluate("axe.run().then(results => results.violations)")
        return [
            f"{one['id']}: {one['help']} ({one['nodes'][0]['html'][:120]})"
            for one in found
            if one["impact"] in impacts
        ]

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if getattr(self, "_session", None):
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]  # type: ignore[no-any-return]

    def _wait_for(self, method: str) -> None:
        while self._read().get("method") != method:
            pass

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            data = os.read(self._answers, 1 << 16)
            if not data:
                raise RuntimeError("Chromium ended")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        return message


def _start(program: str, commands: int, answers: int, *, profile: str) -> subprocess.Popen[bytes]:
    """Start Chromium with the ends of two pipes as its descriptors 3 and 4, as it expects them."""
    shell = f'exec "$@" 3<&{commands} 4>&{answers}'
    process = subprocess.Popen(
        ["bash", "-c", shell, "bash", program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(commands, answers),
    )
    os.close(commands)
    os.close(answers)
    return process
