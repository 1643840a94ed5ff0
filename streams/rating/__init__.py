"""Rating: what a usage event cost, at the price that held when it happened."""
