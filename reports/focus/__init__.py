"""Spend as FOCUS 1.2 has it, for tools that read cloud bills: the view `focus_costs`."""
