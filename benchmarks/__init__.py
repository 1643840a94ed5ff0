"""Throughput, measured side by side in one run: `python -m benchmarks --out bench.json`."""
