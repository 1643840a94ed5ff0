"""Errors of the contracts.

SpendstreamError
├── UserError           a flag, file or setting is wrong; one line that says what would be right
└── InvalidEvent        one event cannot be metered; carries a Refusal
    (the other packages hang their own errors under SpendstreamError)
"""

from __future__ import annotations

from dataclasses import dataclass


class SpendstreamError(Exception):
    """Base of every error that spendstream raises on purpose."""


class UserError(SpendstreamError):
    """A mistake in what the user wrote. The message is one line: what, where, what instead."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an event is not metered: a stable code for counting, a sentence for the reader."""

    code: str
    detail: str

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


class InvalidEvent(SpendstreamError):
    """An event that cannot be decoded, or that breaks a rule of the contract."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.refusal = Refusal(code, detail)
