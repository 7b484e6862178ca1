"""Take SQLite's storage away: no more bytes, a full disk, a file that may not be written, a lock."""

import contextlib
import errno
import fcntl
import functools
import itertools
import os
import resource
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from payhub import Hub
from torture.experiments.storage import START, Outcome, Place, judge_outcomes, open_hub, sum_up, try_create
from torture.judge import Judge
from torture.processes import Child, call, start
from torture.report import NOT_TRIED, Bench, Finding, Found
from torture.shop import Shop

_NOBODY = 65534
_LOCKED = 12  # seconds; payhub waits ten for SQLite's lock


def at_each_statement(bench: Bench) -> Found:
    """Meet every fault `trials` times at each statement, or from the start; what this machine forbids is noted."""
    found = [_everywhere(bench, bench.directory / "limit", "no more bytes may be written", _no_more_bytes, _nothing)]
    notes = []
    small = bench.directory / "small"
    try:
        with _small_disk(small):
            found.append(_everywhere(bench, small / "shop", FULL, _fill, _empty))
    except Forbidden as cause:
        notes.append(f"{NOT_TRIED}{FULL}.** It needs root, and the right to mount a tmpfs; here: {cause}.")
    try:
        _try_immutable(bench.directory)
        found.append(_everywhere(bench, bench.directory / "immutable", READ_ONLY, _mark_all, _unmark_all))
    except Forbidden as cause:
        needs = "root, and a file system on which `chattr +i` also stops a process that has the file open"
        notes.append(f"{NOT_TRIED}{READ_ONLY}.** It needs {needs}; here: {cause}.")
    return Found([*found, *_read_only(bench), _locked(bench)], notes)


FULL, READ_ONLY = "disk full", "file turns read-only"
"""The faults that only some machines allow."""


class Forbidden(Exception):
    """The reason why a fault cannot be tried on this machine."""


def _everywhere(
    bench: Bench, directory: Path, title: str, fault: Callable[[Shop], None], repair: Callable[[Shop], None]
) -> Finding:
    with Judge() as judge:
        judge.order(waits=0)
        shop = Shop(directory=directory, judge=judge, journal="sqlite:///payhub.db")
        hub, places = open_hub(shop)
        outcomes = []
        for number, place in enumerate(places * bench.trials):
            work = functools.partial(
                try_create, hub, f"{directory.name}-{number}", place, functools.partial(fault, shop)
            )
            child = start(work)
            try:
                outcomes.append(child.returned(Outcome))
            finally:
                repair(shop)
        return sum_up(f"SQLite, {title}, at each statement", outcomes, judge_outcomes(shop, hub, outcomes, clean=True))


def _nothing(_: Shop) -> None:
    """Repair nothing: the fault ended with its process."""


def _no_more_bytes(_: Shop) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


@contextlib.contextmanager
def _small_disk(path: Path) -> Iterator[None]:
    """Mount a disk of eight MiB.

    Raises:
        Forbidden: this user cannot, or not here.
    """
    path.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "torture", str(path)]
    if os.geteuid():
        raise Forbidden("not root")
    done = subprocess.run(mount, check=False, capture_output=True, text=True)  # noqa: S603 - fixed words
    if done.returncode:
        raise Forbidden(done.stderr.strip() or f"mount ended with {done.returncode}")
    try:
        yield
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
    """Make a file immutable, also to a process that has it open already: `chattr +i`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        (flags,) = struct.unpack("l", fcntl.ioctl(descriptor, _GET_FLAGS, bytes(8)))
        wanted = flags | _IMMUTABLE if immutable else flags & ~_IMMUTABLE
        fcntl.ioctl(descriptor, _SET_FLAGS, struct.pack("l", wanted))
    finally:
        os.close(descriptor)


def _try_immutable(directory: Path) -> None:
    """Make a file immutable to the process that has it open.

    Raises:
        Forbidden: this user cannot, or not on this file system.
    """
    path = directory / "probe"
    with path.open("wb", buffering=0) as file:
        try:
            _mark(path, immutable=True)
        except OSError as cause:
            raise Forbidden(cause.strerror) from cause
        try:
            file.write(b"?")
        except PermissionError:
            return
        finally:
            _mark(path, immutable=False)
    raise Forbidden("a process that has the file open can still write")


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
            shop = Shop(directory=bench.directory / name, judge=judge, journal="sqlite:///stored/payhub.db")
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
            problems += judge_outcomes(shop, hub, outcomes, clean=exists)
            found.append(sum_up(f"SQLite, {title}, from the start", outcomes, problems))
    return found


def _as_nobody(hub: Hub, order_id: str) -> Outcome:
    if os.geteuid() == 0:
        os.setuid(_NOBODY)  # root may write anything
    return try_create(hub, order_id, START, lambda: None)


_HOLD = """
import sqlite3, sys, time
held = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


def _locked(bench: Bench) -> Finding:
    """Let another process ask for the lock at each statement; all statements of one trial side by side."""
    outcomes: list[Outcome] = []
    problems: list[str] = []
    for trial in range(bench.trials):
        with contextlib.ExitStack() as judges:
            running: list[tuple[Shop, Hub, Child]] = []
            for number in itertools.count():
                judge = judges.enter_context(Judge())
                judge.order(waits=0, delay=_ANSWERED)
                directory = bench.directory / f"lock-{trial}-{number}"
                journal = "sqlite:///payhub.db"
                shop = Shop(directory=directory, judge=judge, journal=journal)
                hub, places = open_hub(shop)
                # What only reads needs no lock, and comes before: the first transaction that does would meet it or not.
                places = places[next(at for at, place in enumerate(places) if place.words == _BEGIN) :]
                running.append((shop, hub, start(functools.partial(_tried_locked, shop, hub, places[number]))))
                if number + 1 == len(places):
                    break
            ended = [(shop, hub, child.returned(Outcome)) for shop, hub, child in running]
            judging = [
                start(functools.partial(judge_outcomes, *one[:2], one[2:], clean=True), seconds=600) for one in ended
            ]
            problems += [problem for child in judging for problem in child.returned(list[str])]
            outcomes += [outcome for *_, outcome in ended]
    title = "SQLite, write lock asked for at each statement that writes, and held longer than the busy timeout"
    return sum_up(title, outcomes, problems)


_ANSWERED = 0.3  # seconds that an answer takes at most; enough for a lock to be taken meanwhile


def _tried_locked(shop: Shop, hub: Hub, place: Place) -> Outcome:
    """Create a payout, and let another process take the lock: now, or when the transaction has ended.

    In the latter case it is the next transaction that meets the lock, so the fault counts as one after the request.
    """
    command = [sys.executable, "-c", _HOLD, str(shop.directory / "payhub.db"), str(_LOCKED)]
    holders: list[subprocess.Popen[bytes]] = []
    free = place.words == _BEGIN

    def hold() -> None:
        holder = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - ends by itself
        holders.append(holder)
        if free and (holder.stdout is None or holder.stdout.readline() != b"held\n"):
            raise RuntimeError("the lock could not be taken")

    outcome = try_create(hub, shop.directory.name, place, hold)
    for holder in holders:
        holder.wait()
    met = msgspec.structs.replace(place, before=place.before and free)
    return msgspec.structs.replace(outcome, place=met)


_BEGIN = "BEGIN IMMEDIATE"
