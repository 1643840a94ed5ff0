"""Agreements with vendors that depend on a whole month: volume steps, and committed use.

========== =================================================================================
module     idea
========== =================================================================================
book       the agreements file: what an agreement covers, and its terms
terms      what a month of spend comes to under them: pure, exact, in pico-dollars
distribute an amount over teams, models and days in proportion, to the last pico-dollar
eligible   what an agreement covers, from the ledger
statement  the month of each agreement as one value
apply      true-ups of the ledger, counted once
checks     what is probably a mistake in a file
========== =================================================================================
"""
