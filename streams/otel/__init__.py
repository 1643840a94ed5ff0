"""OpenTelemetry's GenAI spans and metrics as usage events: a pure mapping, no I/O.

========== ========================================================================
module     idea
========== ========================================================================
otlp       a request body in one of OTLP's two encodings, and the answer to it
attributes the attributes of a span, read by the first of several names that is there
names      which attribute of which dialect says what
calls      which spans are billed calls, and which repeat or add up others
tokens     overlapping counts into disjoint buckets
outcome    how a call ended
spans      a call's span into the fields of a usage event
metrics    a data point of token usage into the fields of a usage event
========== ========================================================================
"""
