"""Usage that other systems have recorded, as usage events: exports read, converted, published once.

============ =========================================================================
module       idea
============ =========================================================================
documents    the rows of a file: CSV, JSONL or JSON, plain or gzip, in bounded memory
values       numbers, money, times and names as exports write them
source       what a source is: how its rows are told apart and converted
buckets      totals of a time bucket as events whose sums are the totals
litellm      rows of LiteLLM_SpendLogs
openai       OpenAI's usage and costs
anthropic    Anthropic's usage report
langfuse     observations of Langfuse
openmeter    events that were sent to OpenMeter
sources      all of them by name, and which one a file looks like
postgres     LiteLLM_SpendLogs, page by page, from its database
attribution  who pays: fields of the row, ``--map``, ``--team``
convert      a row into checked events, or why not
known        which events the archive has already
tally        what came of it, for the summary
run          all of it in order, in batches
============ =========================================================================
"""
