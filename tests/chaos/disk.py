"""A small disk for the database that can be filled to the last byte: a tmpfs that only we see.

It needs no rights where user namespaces are allowed. Where they are not, the database gets an
ordinary folder, and is told instead that it needs more free space than there is.
"""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path

MEGABYTES = 512
_KEEPER = f'mount -t tmpfs -o size={MEGABYTES}m none "$0" && echo mounted && cat >/dev/null'


class SmallDisk:
    """``keeper`` is the process whose mounts have it; None where there is none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[str] | None = None

    def mount(self) -> None:
        """Mount it, if that is allowed here."""
        self.folder.mkdir(parents=True)
        try:
            # It ends with the pipe from us, however we end: nothing is left behind.
            process = subprocess.Popen(
                [
                    *("unshare", "--user", "--map-root-user", "--mount"),
                    *("sh", "-c", _KEEPER, str(self.folder)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
        except FileNotFoundError:
            return
        assert process.stdout is not None
        if process.stdout.readline().strip() == "mounted":
            self._process = process
        else:
            process.communicate()

    def unmount(self) -> None:
        """Give it back, with what is on it."""
        if self._process is not None:
            self._process.communicate()

    @property
    def keeper(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def way(self) -> str:
        """How a full disk is made, for the report."""
        if self._process is None:
            return "min_free_disk_bytes_to_perform_insert (mounts are not allowed here)"
        return f"a tmpfs of {MEGABYTES} MiB, filled until ENOSPC"

    def fill(self) -> int:
        """Write until there is no byte left; how many were written."""
        written = 0
        with self._filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        written += file.write(b"\0" * size)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
        return written

    def relieve(self) -> None:
        """Free it again."""
        self._filler.unlink()

    @property
    def _filler(self) -> Path:
        return Path(f"/proc/{self.keeper}/root{self.folder}", "filler")
