"""The embedded stack: broker, ClickHouse endpoint and every stage, supervised on loopback."""
