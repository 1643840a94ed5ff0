"""Where an organisation stands on four layers, by its own ledger, and what is next."""
