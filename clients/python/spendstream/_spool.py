"""The folder in which events wait on disk: our own sub-folder, and those of processes that ended.

Why not a library: `emit` has 50 microseconds in all, and a spool has one writer, one reader, and
deletes what it read. An append to a file takes 3 of them, and what was written survives a SIGKILL.
Measured on the same machine, sqlite3 (WAL, synchronous off) takes 23 for an insert, and 87 at p99;
persist-queue and diskcache are that with Python around it. None of them tells a file whose process
died from one that is in use.
"""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path

from spendstream._spool_folder import (
    SEGMENT_BYTES,
    Place,
    SpoolFolder,
    Stored,
    bytes_in,
    is_spool_folder,
)

RESCAN_SECONDS = 1.0
"""Between two looks at a full spool, whose other users may have made room."""


class SpoolFull(Exception):
    """The spool holds as many bytes as it may."""


class Spool:
    """Appends to a sub-folder of our own, made when it is needed; reads the adopted ones first.

    ``limit``: bytes of the whole folder, whoever wrote them; processes that share it look at each
    other's once per segment. Not thread-safe, like `SpoolFolder`.
    """

    def __init__(self, path: Path, limit: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.path = path
        self.limit = limit
        self._segment_bytes = segment_bytes
        self._own: SpoolFolder | None = None
        self._adopted: deque[SpoolFolder] = deque()
        self._others = 0
        self._since_scan = segment_bytes
        self._rescan_at = 0.0
        self._closed = False

    def adopt(self) -> list[OSError]:
        """Take over the sub-folders of processes that have ended; why some could not be."""
        problems = []
        for path in self._sub_folders():
            try:
                folder = SpoolFolder.adopt(path)
            except FileNotFoundError:
                continue  # somebody else finished it just now
            except OSError as error:
                problems.append(error)
                continue
            if folder is not None:
                self._adopted.append(folder)
        self._close_finished()
        return problems

    @property
    def recovering(self) -> bool:
        """Whether events of earlier processes are not settled yet."""
        return bool(self._adopted)

    @property
    def all_read(self) -> bool:
        """Whether every event is in memory or settled."""
        return self.own_read and all(one.all_read for one in self._adopted)

    @property
    def own_read(self) -> bool:
        """The same, of our own sub-folder."""
        return self._own is None or self._own.all_read

    def append(self, frame: bytes, *, hand_out: bool) -> Place | None:
        """Write an event; see `SpoolFolder.append`. Raises SpoolFull and OSError."""
        if self._own is None:
            self._own = SpoolFolder.create(self.path, self._segment_bytes)
        self._make_sure_of_room(len(frame))
        place = self._own.append(frame, hand_out=hand_out)
        self._since_scan += len(frame)
        return place

    def read(self) -> list[Stored]:
        """The next events, oldest process first. Raises OSError; another call goes on behind."""
        if self._closed:
            return []
        for folder in [*self._adopted]:
            try:
                if found := folder.read():
                    return found
            except OSError:
                self._adopted.remove(folder)
                folder.close()
                raise
        self._close_finished()
        return self._own.read() if self._own is not None else []

    def is_own(self, place: Place) -> bool:
        """Whether an event is of this process."""
        return place.folder is self._own

    def settle(self, place: Place) -> None:
        """An event that was in memory needs its copy no more."""
        place.folder.settle(place)
        if self._adopted:
            self._close_finished()

    def to_sync(self) -> list[int]:
        """Descriptors to bring to the disk and close."""
        return self._own.to_sync() if self._own is not None else []

    def close(self) -> None:
        """Leave what is not settled to the next process. May be called again."""
        self._closed = True
        for folder in self._folders():
            folder.close()

    def forsake(self) -> None:
        """Let go of everything and change nothing: it is another process's, after a fork."""
        self._closed = True
        for folder in self._folders():
            folder.forsake()

    def _sub_folders(self) -> list[Path]:
        try:
            return sorted(one for one in self.path.iterdir() if is_spool_folder(one))
        except FileNotFoundError:
            return []

    def _folders(self) -> list[SpoolFolder]:
        return [*self._adopted, *([self._own] if self._own is not None else [])]

    def _close_finished(self) -> None:
        for folder in [one for one in self._adopted if one.all_settled]:
            self._adopted.remove(folder)
            folder.close()

    def _make_sure_of_room(self, wanted: int) -> None:
        if self._since_scan >= self._segment_bytes:
            self._scan()
        if self._used() + wanted > self.limit:
            now = time.monotonic()
            if now >= self._rescan_at:
                self._rescan_at = now + RESCAN_SECONDS
                self._scan()
            if self._used() + wanted > self.limit:
                raise SpoolFull

    def _used(self) -> int:
        own = self._own.bytes if self._own is not None else 0
        return self._others + own + sum([folder.bytes for folder in self._adopted])

    def _scan(self) -> None:
        total = sum(bytes_in(folder) for folder in self._sub_folders())
        self._others = 0
        self._others = max(0, total - self._used())
        self._since_scan = 0
