"""The sub-folder that one process writes: segments of frames, a lock, and how far it was delivered.

``lock`` is held (flock) for as long as the process lives, and the kernel frees it however that
ends. ``settled`` says up to where everything was settled; it may be behind, never ahead, so that a
crash repeats events and loses none. A segment is deleted once all of its events are settled.

Not thread-safe: the outbox holds its lock around every call.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import struct
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self
from uuid import uuid4
from zlib import crc32

from spendstream._frames import MAX_FRAME, frames

SEGMENT_BYTES = 1024 * 1024
"""What is deleted at once. A process that keeps up with its events needs two segments."""
CHUNK = 64 * 1024
"""Read back at once: a few hundred events, some tenths of a millisecond."""
NOTE_EVERY = 256
"""Events settled between two notes while more are on their way: so many may be sent again."""
_NOTE = struct.Struct("<IQ")
_NAME = re.compile(r"\d{20}-\d+-[0-9a-f]{8}\.spool")
_SEGMENT_NAME = re.compile(r"\d{10}\.seg")


@dataclass(slots=True, eq=False)
class Place:
    """Where an event that is in memory stands on disk: it ends at byte ``end`` of its segment."""

    folder: SpoolFolder
    segment: int
    end: int
    settled: bool = False


class Stored(NamedTuple):
    """An event that was read back."""

    place: Place
    key: bytes
    value: bytes


@dataclass(slots=True)
class _Segment:
    number: int
    size: int


class SpoolFolder:
    """Made by `create`, to append to, or by `adopt`, to read what a dead process left behind."""

    def __init__(self, path: Path, lock: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._path = path
        self._lock: int | None = lock
        self._segment_bytes = segment_bytes
        self._notes = os.open(path / "settled", os.O_RDWR | os.O_CREAT, 0o600)
        self._segments = deque(
            _Segment(int(file.stem), file.stat().st_size) for file in sorted(_segment_files(path))
        )
        self._out: deque[Place] = deque()
        self._settled = self._read = self._noted()
        self._since_note = 0
        self._writing: int | None = None
        self._rolled: list[int] = []
        self._dirty = False
        self.bytes = sum(segment.size for segment in self._segments)
        self._prune()

    @classmethod
    def create(cls, spool: Path, segment_bytes: int = SEGMENT_BYTES) -> Self:
        """A new sub-folder of our own. Raises OSError."""
        # Names sort by age: adopted folders are delivered in the order in which they were made.
        name = f"{time.time_ns():020}-{os.getpid()}-{uuid4().hex[:8]}.spool"
        # Locked under a name that nobody adopts, so that it is never seen without its lock.
        hidden = spool / f".{name}"
        hidden.mkdir(mode=0o700, parents=True)
        lock = os.open(hidden / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(spool / name)
            return cls(spool / name, lock, segment_bytes)
        except BaseException:
            os.close(lock)
            shutil.rmtree(hidden, ignore_errors=True)
            raise

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """The sub-folder of a process that has ended; None while it lives. Raises OSError."""
        # It may be half removed, and lack its lock.
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return cls(path, lock)
        except BlockingIOError:
            os.close(lock)
            return None
        except BaseException:
            os.close(lock)
            raise

    @property
    def all_read(self) -> bool:
        """Whether every event is in memory or settled."""
        return not self._segments or self._read >= (self._segments[-1].number, self._end)

    @property
    def all_settled(self) -> bool:
        """Whether nothing is left to deliver."""
        return self.all_read and not self._out

    def append(self, frame: bytes, *, hand_out: bool) -> Place | None:
        """Write an event; its place, where it is to be in memory right away. Raises OSError.

        ``hand_out`` is for when `all_read`: otherwise the event waits to be read back.
        """
        if self._writing is None or self._end + len(frame) > self._segment_bytes:
            self._roll()
        assert self._writing is not None  # noqa: S101 - for the type checker: _roll opened it
        written = os.write(self._writing, frame)
        if written < len(frame):
            # The disk is full. The next frame goes to a segment of its own, behind the torn one.
            self._close_segment()
            raise OSError(28, "no space left for a whole event")
        segment = self._segments[-1]
        segment.size += written
        self.bytes += written
        self._dirty = True
        if not hand_out:
            return None
        self._read = (segment.number, segment.size)
        place = Place(self, *self._read)
        self._out.append(place)
        return place

    def read(self) -> list[Stored]:
        """The next events, which are in memory from now on. Raises OSError."""
        for segment in self._segments:
            if segment.number < self._read[0]:
                continue
            start = self._read[1] if segment.number == self._read[0] else 0
            if start < segment.size and (found := self._frames_of(segment, start)):
                self._read = (segment.number, found[-1].place.end)
                self._out += (stored.place for stored in found)
                return found
            self._read = (segment.number, max(start, segment.size))  # nothing more in it is whole
        return []

    def settle(self, place: Place) -> None:
        """An event that was in memory needs this copy no more."""
        if self._lock is None:
            return
        place.settled = True
        while self._out and self._out[0].settled:
            first = self._out.popleft()
            self._settled = (first.segment, first.end)
        self._since_note += 1
        if not self._out or self._since_note >= NOTE_EVERY:
            self._note()
            self._prune()

    def to_sync(self) -> list[int]:
        """Descriptors whose content is not on the disk itself yet, for the caller to close."""
        descriptors, self._rolled = self._rolled, []
        dirty, self._dirty = self._dirty, False
        if dirty and self._writing is not None and not self.all_settled:
            descriptors.append(os.dup(self._writing))
            # A file is there after a power failure only if its folder says so.
            descriptors += [os.open(one, os.O_RDONLY) for one in (self._path, self._path.parent)]
        return descriptors

    def close(self) -> None:
        """Note what is settled and free the lock. Removes the folder where nothing is left."""
        if self._lock is None:
            return
        self._note()
        if self.all_settled:
            with contextlib.suppress(OSError):  # who adopts it removes what is not removed here
                for file in [*_segment_files(self._path), self._path / "settled"]:
                    file.unlink()
                (self._path / "lock").unlink()
                self._path.rmdir()
        self.forsake()

    def forsake(self) -> None:
        """Close the files without touching them: they are another process's, after a fork."""
        opened = [self._notes, self._lock, self._writing, *self._rolled]
        if self._lock is not None:
            for descriptor in opened:
                if descriptor is not None:
                    os.close(descriptor)
        self._lock = self._writing = None
        self._rolled = []

    @property
    def _end(self) -> int:
        return self._segments[-1].size

    def _roll(self) -> None:
        number = self._segments[-1].number + 1 if self._segments else 1
        self._close_segment()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._writing = os.open(self._path / f"{number:010}.seg", flags, 0o600)
        self._segments.append(_Segment(number, 0))

    def _close_segment(self) -> None:
        if self._writing is not None:
            self._rolled.append(self._writing)
        self._writing = None

    def _frames_of(self, segment: _Segment, start: int) -> list[Stored]:
        data = b""
        for size in (CHUNK, MAX_FRAME):
            try:
                with (self._path / f"{segment.number:010}.seg").open("rb", buffering=0) as file:
                    file.seek(start)
                    data = file.read(min(size, segment.size - start))
            except FileNotFoundError:
                return []
            last = start + size >= segment.size
            found = [
                Stored(Place(self, segment.number, start + frame.end), frame.key, frame.value)
                for frame in frames(data, last=last)
            ]
            if found or last:
                return found
        return []

    def _prune(self) -> None:
        """Delete the segments whose events are all settled, but never the one that is written."""
        needed = self._out[0].segment if self._out else self._read[0]
        while self._segments and self._segments[0].number < needed:
            segment = self._segments.popleft()
            with contextlib.suppress(OSError):  # deleted already, or with the folder
                (self._path / f"{segment.number:010}.seg").unlink()
            self.bytes -= segment.size

    def _note(self) -> None:
        note = _NOTE.pack(*self._settled)
        with contextlib.suppress(OSError):  # it is behind then, and events are sent again
            os.pwrite(self._notes, note + crc32(note).to_bytes(4, "little"), 0)
        self._since_note = 0

    def _noted(self) -> tuple[int, int]:
        note = os.pread(self._notes, _NOTE.size + 4, 0)
        body = note[: _NOTE.size]
        if len(note) == _NOTE.size + 4 and crc32(body).to_bytes(4, "little") == note[_NOTE.size :]:
            number, end = _NOTE.unpack(body)
            return number, end
        return 0, 0


def is_spool_folder(path: Path) -> bool:
    """Whether a path is named as `SpoolFolder.create` names them: nothing else is touched."""
    return _NAME.fullmatch(path.name) is not None and path.is_dir()


def bytes_in(path: Path) -> int:
    """What the segments of a sub-folder hold, whoever writes them."""
    total = 0
    for file in _segment_files(path):
        with contextlib.suppress(FileNotFoundError):  # settled just now
            total += file.stat().st_size
    return total


def _segment_files(path: Path) -> list[Path]:
    try:
        return [file for file in path.iterdir() if _SEGMENT_NAME.fullmatch(file.name)]
    except FileNotFoundError:
        return []
