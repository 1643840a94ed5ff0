"""Prices of other vendors and regions for usage of the ledger, by the product's own price book."""
