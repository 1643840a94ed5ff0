"""All faults, in the order in which they are played."""

from __future__ import annotations

from tests.chaos import (
    faults_clickhouse,
    faults_kafka,
    faults_operator,
    faults_owners,
    faults_stages,
)
from tests.chaos.fault import LISTED

_ORDER = (faults_stages, faults_owners, faults_kafka, faults_clickhouse, faults_operator)

FAULTS = {
    fault.name: fault
    for module in _ORDER
    for fault in LISTED
    if fault.strike.__module__ == module.__name__
}
