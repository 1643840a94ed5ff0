"""The contracts of spendstream: what travels on the topics and lands in the tables. No I/O."""
