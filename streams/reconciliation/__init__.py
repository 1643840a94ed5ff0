"""Reconciliation: archive = ledger = guard. What differs is found, explained and repaired."""
