"""The report that goes to a board: two pages, plain words, every figure with its definition."""
