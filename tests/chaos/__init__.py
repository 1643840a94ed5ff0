"""The fault suite: every fault that the product promises to survive, on real engines.

`python -m tests.chaos` starts three Kafka brokers, ClickHouse and two of every stage, lets usage
with known totals flow, injects one fault after the other, and says what was lost or doubled.
"""
