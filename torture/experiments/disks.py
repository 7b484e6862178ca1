"""Take SQLite's storage away: no more bytes, a full disk, a file nobody may write, a lock."""

import contextlib
import errno
import fcntl
import functools
import os
import resource
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from payhub import Hub
from torture.experiments.storage import DEADLINE, LEASE, START, Outcome, finding, judged, open_hub, tried
from torture.judge import Judge
from torture.processes import Child, call, start
from torture.report import Bench, Finding, Found
from torture.shop import Shop

_NOBODY = 65534
_LOCKED = 12  # seconds; payhub waits ten for SQLite's lock


def at_each_statement(bench: Bench) -> Found:
    """Meet every fault `trials` times at each statement, or from the start."""
    found = [_everywhere(bench, bench.directory / "limit", "no more bytes may be written", _no_more_bytes, _nothing)]
    with _small_disk(bench.directory / "small") as small:
        if small:
            found.append(_everywhere(bench, small / "shop", "disk full", _fill, _empty))
    if _can_be_immutable(bench.directory):
        found.append(_everywhere(bench, bench.directory / "immutable", "file turns read-only", _mark_all, _unmark_all))
    return Found([*found, *_read_only(bench), _locked(bench)])


def _everywhere(
    bench: Bench, directory: Path, title: str, fault: Callable[[Shop], None], repair: Callable[[Shop], None]
) -> Finding:
    with Judge() as judge:
        judge.order(waits=0)
        shop = Shop(directory=directory, judge=judge, journal="sqlite:///payhub.db", lease=LEASE, deadline=DEADLINE)
        hub, places = open_hub(shop)
        outcomes = []
        for number, place in enumerate(places * bench.trials):
            work = functools.partial(tried, hub, f"{directory.name}-{number}", place, functools.partial(fault, shop))
            child = start(work)
            try:
                outcomes.append(child.returned(Outcome))
            finally:
                repair(shop)
        return finding(f"SQLite, {title}, at each statement", outcomes, judged(shop, hub, outcomes, clean=True))


def _nothing(_: Shop) -> None:
    """Repair nothing: the fault ended with its process."""


def _no_more_bytes(_: Shop) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


@contextlib.contextmanager
def _small_disk(path: Path) -> Iterator[Path | None]:
    """Mount a disk of eight MiB, if this user can."""
    path.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "torture", str(path)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:  # noqa: S603 - fixed words
        yield None
        return
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)  # noqa: S603, S607 - the system's own


def _fill(shop: Shop) -> None:
    block = bytes(1 << 16)
    with (shop.directory / "filler").open("ab", buffering=0) as filler:
        while block:
            try:
                filler.write(block)
            except OSError as full:
                if full.errno != errno.ENOSPC:
                    raise
                block = block[: len(block) // 2]


def _empty(shop: Shop) -> None:
    (shop.directory / "filler").unlink(missing_ok=True)


_GET_FLAGS, _SET_FLAGS, _IMMUTABLE = 0x80086601, 0x40086602, 0x10  # FS_IOC_GETFLAGS and so on, of linux/fs.h


def _mark(path: Path, *, immutable: bool) -> None:
    """Let nobody write a file, not even who has it open already: `chattr +i`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        (flags,) = struct.unpack("l", fcntl.ioctl(descriptor, _GET_FLAGS, bytes(8)))
        wanted = flags | _IMMUTABLE if immutable else flags & ~_IMMUTABLE
        fcntl.ioctl(descriptor, _SET_FLAGS, struct.pack("l", wanted))
    finally:
        os.close(descriptor)


def _can_be_immutable(directory: Path) -> bool:
    """Tell whether this file system and this user can make a file immutable to those who have it open."""
    path = directory / "probe"
    with path.open("wb", buffering=0) as file:
        try:
            _mark(path, immutable=True)
        except OSError:
            return False
        try:
            file.write(b"?")
        except PermissionError:
            return True
        finally:
            _mark(path, immutable=False)
    return False


def _mark_all(shop: Shop, *, immutable: bool = True) -> None:
    for path in shop.directory.glob("payhub.db*"):
        if not path.name.endswith("-shm"):  # it is mapped into memory; a process that dies must not leave it behind
            _mark(path, immutable=immutable)


def _unmark_all(shop: Shop) -> None:
    _mark_all(shop, immutable=False)


def _read_only(bench: Bench) -> list[Finding]:
    """Start where nothing may be written: a database that is read-only, and a directory that has none."""
    found = []
    for title, exists in (("read-only file", True), ("read-only directory, no file yet", False)):
        with Judge() as judge:
            judge.order(waits=0)
            name = "file" if exists else "directory"
            shop = Shop(
                directory=bench.directory / name,
                judge=judge,
                journal="sqlite:///stored/payhub.db",
                lease=LEASE,
                deadline=DEADLINE,
            )
            stored = shop.directory / "stored"
            stored.mkdir(parents=True)
            hub = open_hub(shop)[0] if exists else shop.hub()
            paths = (*stored.iterdir(), stored)
            for path in paths:
                path.chmod(0o555 if path.is_dir() else 0o444)
            outcomes = [
                call(functools.partial(_as_nobody, hub, f"{name}-{number}"), Outcome) for number in range(bench.trials)
            ]
            for path in paths:
                path.chmod(0o755 if path.is_dir() else 0o644)
            problems = [f"{o.order_id}: written where nothing can be" for o in outcomes if o.raised is None]
            problems += judged(shop, hub, outcomes, clean=exists)
            found.append(finding(f"SQLite, {title}, from the start", outcomes, problems))
    return found


def _as_nobody(hub: Hub, order_id: str) -> Outcome:
    if os.geteuid() == 0:
        os.setuid(_NOBODY)  # root may write anything
    return tried(hub, order_id, START, lambda: None)


_HOLD = """
import sqlite3, sys, time
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


def _hold(shop: Shop) -> None:
    """Let another process take the write lock, and hold it for longer than payhub waits."""
    command = [sys.executable, "-c", _HOLD, str(shop.directory / "payhub.db"), str(_LOCKED)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - ends by itself
    if holder.stdout is None or holder.stdout.readline() != b"held\n":
        raise RuntimeError("the lock could not be taken")


def _locked(bench: Bench) -> Finding:
    """Hold the lock at the first statement before the request, and at the first after it; all trials side by side."""
    running: list[tuple[Shop, Hub, Child]] = []
    with contextlib.ExitStack() as judges:
        for number in range(bench.trials * 2):
            judge = judges.enter_context(Judge())
            judge.order(waits=0)
            shop = Shop(
                directory=bench.directory / f"lock-{number}",
                judge=judge,
                journal="sqlite:///payhub.db",
                lease=LEASE,
                deadline=DEADLINE,
            )
            hub, places = open_hub(shop)
            place = next(p for p in places if p.before == (number % 2 == 0))
            work = functools.partial(tried, hub, f"lock-{number}", place, functools.partial(_hold, shop))
            running.append((shop, hub, start(work, seconds=60)))
        outcomes = [child.returned(Outcome) for *_, child in running]
        problems = [
            problem
            for (shop, hub, _), outcome in zip(running, outcomes, strict=True)
            for problem in judged(shop, hub, [outcome], clean=True)
        ]
    return finding("SQLite, write lock held longer than the busy timeout", outcomes, problems)
