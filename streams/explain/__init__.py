"""Explaining a dollar: from a figure down to prices, journal entries and raw events."""
