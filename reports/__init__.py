"""What finance and a board read: figures from SQL views, charts, exports, the page.

Imports schemas and sinks only.
"""
