"""How a scenario is written: `+30%..+50%`, `x4`."""
