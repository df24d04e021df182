"""Power cuts: a copy of a file system on a loop device is what a disk holds when the power fails.

The run works on an ext4 image. Unsynced data is only in the memory of that file system, not in the image. The image is
on a second file system, which is frozen during the copy, so the copy shows one instant. Every checkpoint that the run
had announced by then must be in the copy, and must verify.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from torture.lab import Lab, Trial
from torture.verdict import find_incomplete, find_lies, plant_foreign_files

MODES = ("data=ordered,commit=600", "data=writeback,noauto_da_alloc,commit=600")
"""Mount options. Without auto_da_alloc ext4 does nothing special for renamed files. No commit happens by itself during
a trial, so nothing is on the disk by luck."""
IMAGE_MB = 192
OUTER_MB = 256


def find_obstacle() -> str:
    """Why no file system can be mounted here; empty if one can."""
    if os.geteuid() != 0:
        return "only root may mount"
    missing = [tool for tool in ("mkfs.ext4", "mount", "umount", "fsfreeze") if not shutil.which(tool)]
    if missing:
        return f"{', '.join(missing)} is not installed"
    with tempfile.TemporaryDirectory() as folder:
        try:
            with mount_image(make_image(Path(folder) / "image", size_mb=8), Path(folder) / "mounted"):
                return ""
        except subprocess.CalledProcessError as error:
            return f"mounting a loop device is refused: {error.stderr.decode(errors='replace').strip()}"


def make_image(path: Path, *, size_mb: int) -> Path:
    """A new ext4 file system in a file."""
    with path.open("wb") as file:
        file.truncate(size_mb << 20)
    _call("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", path)
    return path


@contextmanager
def mount_image(image: Path, place: Path, *, options: str = "defaults") -> Iterator[Path]:
    place.mkdir(exist_ok=True)
    _call("mount", "-o", f"loop,{options}", image, place)
    try:
        yield place
    finally:
        _unmount(place)


def _unmount(place: Path) -> None:
    """Unmount, and wait while it is busy: a child of a killed run may take a little longer to die."""
    deadline_s = time.monotonic() + 60
    while subprocess.run(["umount", str(place)], capture_output=True, check=False).returncode:
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{place} stays busy")
        time.sleep(0.05)


def copy_instant(image: Path, copy: Path, *, outer: Path) -> None:
    """Copy the device at one instant: nothing can be written to the image meanwhile."""
    _call("fsfreeze", "--freeze", outer)
    try:
        _call("cp", "--sparse=always", image, copy)
    finally:
        _call("fsfreeze", "--unfreeze", outer)


def prepare(root: Path, *, seed: int, sabotage: str = "") -> Callable[[int], Trial]:
    """Make what trials need, and return the function that makes the trial of an index."""
    # A checkpoint after every step.
    return partial(run_trial, Lab(root, sabotage=sabotage, checkpoint_seconds=1e-6), seed=seed)


def run_trial(lab: Lab, index: int, *, seed: int) -> Trial:
    """Cut the power of one run and check the disk; let every tenth run continue to its end."""
    draw = random.Random(f"{seed}:{index}")
    mode = MODES[index % len(MODES)]
    room = lab.root / f"power-{index}"
    room.mkdir()
    outer_image, copy = make_image(room / "outer", size_mb=OUTER_MB), room / "copy"
    try:
        # noatime: reading from a frozen file system must not write to it.
        with mount_image(outer_image, room / "frozen", options="noatime") as outer:
            image = make_image(outer / "image", size_mb=IMAGE_MB)
            with mount_image(image, room / "disk", options=mode) as disk:
                phase, announced = _cut(lab, disk, draw, partial(copy_instant, image, copy, outer=outer))
        with mount_image(copy, room / "after", options=mode) as after:
            faults = list(find_losses(after / "run", announced, lab))
            if index % 10 == 0:
                plant_foreign_files(after / "run")
                faults += lab.finish(after / "run")
    finally:
        shutil.rmtree(room, ignore_errors=True)
    return {"index": index, "mode": mode, "phase": phase, "announced": announced, "faults": faults}


def _cut(lab: Lab, disk: Path, draw: random.Random, copy: Callable[[], None]) -> tuple[str, list[str]]:
    """Copy the disk under a run: right after it announced a checkpoint, in about half of the trials at any instant.

    Returns the phase, and the checkpoints that were announced before the copy and not pruned until after it.
    """
    num_checkpoints, is_exact, pause_s = draw.randrange(1, 14), draw.random() < 0.5, 0.2 * draw.random()
    # A run killed by its fuse leaves unsynced data in the file system's memory, like any other.
    run = lab.start(disk / "run", fuse=2 * num_checkpoints if is_exact else None)
    run.follow(until=lambda: len(run.standing) >= num_checkpoints % 4)
    run.follow(for_s=300 if is_exact else pause_s)
    before = list_kept(run.standing)
    copy()
    run.follow(for_s=0.01)
    announced = [name for name in before if name in list_kept(run.standing)]
    run.kill()
    return run.phase, announced


def list_kept(names: Iterable[str]) -> list[str]:
    """Announced checkpoints that pruning keeps: the newest three of epochs and two between epochs."""
    by_kind: dict[str, list[str]] = {"epoch": [], "step": []}
    for name in names:
        by_kind[name.split("_")[1]].append(name)
    return by_kind["epoch"][-3:] + by_kind["step"][-2:]


def find_losses(directory: Path, announced: list[str], lab: Lab) -> Iterator[str]:
    """Announced checkpoints that are missing or damaged, and incomplete files under final names."""
    for name in announced:
        if not (directory / name).is_file():
            yield f"{name} was announced and is gone"
    if directory.is_dir():
        yield from find_incomplete(directory, lab.reference)
        yield from find_lies(directory, lab.reference)


def summarize(trials: Iterable[Trial]) -> dict[str, Any]:
    """Summarize all trials."""
    trials = list(trials)
    return {
        "power cuts": len(trials),
        "nothing announced was lost": sum(not trial["faults"] for trial in trials),
        "announced checkpoints looked for": sum(len(trial["announced"]) for trial in trials),
        "by mount options": dict(Counter(trial["mode"] for trial in trials)),
        "by phase": dict(Counter(trial["phase"] for trial in trials)),
        "continued to a bit-identical end": sum(t["index"] % 10 == 0 and not t["faults"] for t in trials),
    }


def _call(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True)
