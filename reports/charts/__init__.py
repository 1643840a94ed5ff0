"""Charts as Vega-Lite, through Altair: a function each, from a figures' table to a specification.

The page, the PDF, Slack and the terminal draw the same data. Here, and nowhere before, numbers
become floats: where a point is in a picture, not what somebody owes.
"""
