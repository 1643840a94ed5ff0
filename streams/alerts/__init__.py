"""Alerts on their way out: the notifier and its delivery records."""
