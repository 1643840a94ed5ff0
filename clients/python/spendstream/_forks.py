"""After a fork, the child's emitters start anew and leave everything to the parent's.

A thread does not survive a fork, and the parent's connections and spool are the parent's. Nothing
is started in the hook itself: most children never emit.
"""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """What has locks, files and threads that a fork would tear apart."""

    def _hold(self) -> None:
        """Keep other threads out, so that the fork finds everything whole."""

    def _release(self) -> None:
        """Let them in again, in the parent."""

    def _start_anew(self) -> None:
        """Let go of what is the parent's, in the child."""


_watched: WeakSet[Forkable] = WeakSet()
_held: list[Forkable] = []
_lock = threading.RLock()


def watch(one: Forkable) -> None:
    """Have this object start anew in every child that this process forks."""
    with _lock:
        _watched.add(one)


def _before() -> None:
    _lock.acquire()
    _held.extend(_watched)
    for one in _held:
        one._hold()


def _in_parent() -> None:
    for one in _held:
        one._release()
    _held.clear()
    _lock.release()


def _in_child() -> None:
    for one in _held:
        one._start_anew()
    _held.clear()
    _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
