-- Three roles for ClickHouse, each with what its work takes, on the database `spendstream`: replace
-- `spendstream.` where it has another name. To be run by an administrator, and again after an
-- upgrade that adds a table. Passwords belong to users, and users to docs/operations.md.

-- `spendstream migrate`. It adds tables, views and columns, and drops no table. The
-- materialized views that feed `spend_daily`, `spend_by_day`, `spend_by_workflow` and `prompts` run
-- as whoever made them: keep that user. A migration may copy what is there into what they feed.
CREATE ROLE IF NOT EXISTS spendstream_owner;
GRANT CREATE TABLE ON spendstream.* TO spendstream_owner;
GRANT CREATE VIEW ON spendstream.* TO spendstream_owner;
GRANT ALTER ADD COLUMN ON spendstream.* TO spendstream_owner;
GRANT ALTER ORDER BY ON spendstream.* TO spendstream_owner;
-- To replace a view by one with more columns.
GRANT DROP VIEW ON spendstream.* TO spendstream_owner;
GRANT SELECT ON spendstream.* TO spendstream_owner;
GRANT INSERT ON spendstream.migrations TO spendstream_owner;
GRANT INSERT ON spendstream.spend_daily TO spendstream_owner;
GRANT INSERT ON spendstream.spend_by_day TO spendstream_owner;
GRANT INSERT ON spendstream.spend_by_workflow TO spendstream_owner;
GRANT INSERT ON spendstream.prompts TO spendstream_owner;

-- The stages, `dlq`, `reconcile` and `reprice`. They read what they wrote, and only ever add rows.
CREATE ROLE IF NOT EXISTS spendstream_writer;
GRANT SELECT ON spendstream.* TO spendstream_writer;
GRANT INSERT ON spendstream.spend TO spendstream_writer;
-- For servers on which those views run as whoever inserts.
GRANT INSERT ON spendstream.spend_daily TO spendstream_writer;
GRANT INSERT ON spendstream.spend_by_day TO spendstream_writer;
GRANT INSERT ON spendstream.spend_by_workflow TO spendstream_writer;
GRANT INSERT ON spendstream.prompts TO spendstream_writer;
GRANT INSERT ON spendstream.ledger_progress TO spendstream_writer;
GRANT INSERT ON spendstream.adjustments TO spendstream_writer;
GRANT INSERT ON spendstream.sources TO spendstream_writer;
GRANT INSERT ON spendstream.usage_events TO spendstream_writer;
GRANT INSERT ON spendstream.archive_progress TO spendstream_writer;
GRANT INSERT ON spendstream.alerts TO spendstream_writer;
GRANT INSERT ON spendstream.deliveries TO spendstream_writer;
GRANT INSERT ON spendstream.dead_letters TO spendstream_writer;
GRANT INSERT ON spendstream.dead_letter_actions TO spendstream_writer;
GRANT INSERT ON spendstream.outcomes TO spendstream_writer;
GRANT INSERT ON spendstream.outcome_progress TO spendstream_writer;
GRANT INSERT ON spendstream.prices TO spendstream_writer;
GRANT INSERT ON spendstream.month_closings TO spendstream_writer;
GRANT INSERT ON spendstream.invoice_charges TO spendstream_writer;
GRANT INSERT ON spendstream.budget_standings TO spendstream_writer;
GRANT INSERT ON spendstream.exchange_rate_sets TO spendstream_writer;

-- `spendstream sql`, `doctor` and the page, and whoever asks with a client of their own.
CREATE ROLE IF NOT EXISTS spendstream_reader;
GRANT SELECT ON spendstream.* TO spendstream_reader;
