-- The Wills of persistent sessions: last words that are still due after a restart.

CREATE TABLE wills (
  session bigint PRIMARY KEY REFERENCES sessions ON DELETE CASCADE,
  epoch bigint NOT NULL,
  topic text NOT NULL,
  payload bytea NOT NULL,
  properties bytea NOT NULL,
  qos smallint NOT NULL,
  retain boolean NOT NULL,
  delay bigint NOT NULL
);
COMMENT ON TABLE wills IS 'Gone once it is sent or was taken back; a session that lost its connection and has one still owes it';
COMMENT ON COLUMN wills.epoch IS 'Of the session when the Will came: a later one is not removed for it';
COMMENT ON COLUMN wills.properties IS 'Of MQTT 5, encoded, without the delay';
COMMENT ON COLUMN wills.delay IS 'Seconds that it waits for the client to come back';
