"""Dead letters as a workflow: look at what was refused, mend it, send it again once, or drop it."""
