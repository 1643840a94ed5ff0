"""The meter: usage events in, journal entries out."""
