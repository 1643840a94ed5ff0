"""Budgets: what a budgets file may say, and the arithmetic of calendars and currencies."""
