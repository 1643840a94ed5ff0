"""Chargeback: what each department is charged for a month, to the last digit."""
