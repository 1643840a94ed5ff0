"""Invoices: what providers charge, line by line, against what was metered, and true-ups.

================ ===================================================================================
module           idea
================ ===================================================================================
line             a line of an invoice, and what identifies it
words            what the words of an invoice mean: kinds of tokens, units, names of models
formats          what a format is, and how cells are read
vendor_formats   OpenAI's and Anthropic's exports
cloud_formats    AWS's, Azure's and Google's
focus_format     FOCUS 1.x
known_formats    all of them by name
sheet            the rows of a file whose header one of them knows
rates            exchange rates that were given
ledger           which providers and models the ledger has
convert          a row into a line, or why not
tally            what came of an import
run              an import, in batches
cells            invoice and ledger by day, model and kind of tokens
attribution      why they differ: parts that add up to the variance
variance         the comparison of a month, from the database
report           it as a document
shares           money split by weights, exactly
trueup           what the ledger lacks of an invoice, as adjustments
================ ===================================================================================
"""
