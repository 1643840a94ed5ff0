"""The spend journal: the fence that every reader shares, and reading it."""
