"""Repricing: past usage at the prices of today's price book, in ClickHouse, by adjustments."""
