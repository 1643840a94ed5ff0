"""Where test traffic comes from: real traces with teams dealt over them, and simulated teams."""
