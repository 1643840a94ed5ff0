"""The same usage at other vendors and regions: what the ledger's tokens would have cost there."""
