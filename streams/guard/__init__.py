"""The guard: watches the spend journal, and opens and resolves alerts."""
