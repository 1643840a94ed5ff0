"""The two sinks on ClickHouse: the ledger (from the journal) and the archive (from usage)."""
