-- What is on its way to the client of a persistent session: it comes again under the same packet ids, and nothing else does.

ALTER TABLE sessions
  ADD COLUMN cursor bigint NOT NULL DEFAULT 0,
  ADD COLUMN in_flight bigint[] NOT NULL DEFAULT '{}',
  ADD COLUMN stream_sent bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN sessions.cursor IS 'Queue positions up to here that are not in flight are acknowledged';
COMMENT ON COLUMN sessions.in_flight IS 'Pairs: queue position, packet id; in the order of sending';
COMMENT ON COLUMN sessions.stream_sent IS 'Entries of the account''s log up to here may have been sent: they go out again with DUP';
