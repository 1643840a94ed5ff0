"""True-ups: money that has no events, as an invoice or an agreement says it, in the ledger.

======= ==============================================================================
module  idea
======= ==============================================================================
money   amounts by day and attribution, and the rows of the ledger that they become
append  the one way into the journal: each id counts once, however often it is appended
======= ==============================================================================
"""
