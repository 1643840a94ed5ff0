"""Chargeback: the file of rules, and the closing of months. The arithmetic is in `reports`."""
