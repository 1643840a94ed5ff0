"""Budgets and detectors over past usage: which alerts there would have been, and when."""
