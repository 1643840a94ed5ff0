"""Detectors: what is wasted, what is far too much, and who calls what they should not."""
