-- Accounts, the log, sessions, plain topics.

-- Keys of any length: a btree entry ends at 2704 bytes, names on the wire at 65535. The database is UTF-8, so it is immutable.
CREATE FUNCTION text_key(text) RETURNS bytea IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql
  AS $$ SELECT sha256(convert_to($1, 'UTF8')) $$;

CREATE SEQUENCE owner_ids;
COMMENT ON SEQUENCE owner_ids IS 'One id space for all that own a log';

CREATE TABLE owners (
  id bigint PRIMARY KEY DEFAULT nextval('owner_ids'),
  seq bigint NOT NULL DEFAULT 0,
  last_at timestamptz NOT NULL DEFAULT '-infinity',
  delivered_seq bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
COMMENT ON TABLE owners IS 'Heads of the logs. Locked in order of id by every append';
COMMENT ON COLUMN owners.seq IS 'Last number given out in this log; numbers have no holes';
COMMENT ON COLUMN owners.last_at IS 'Time of the newest message: a later one never has an earlier time';
COMMENT ON COLUMN owners.delivered_seq IS 'Highest seq that any chat device of the account has taken';

CREATE TABLE accounts (
  id bigint PRIMARY KEY REFERENCES owners,
  name text NOT NULL UNIQUE,
  role text NOT NULL CHECK (role IN ('admin', 'moderator', 'user')),
  plain_topics text NOT NULL CHECK (plain_topics IN ('all', 'none')),
  scram_sha_1 text NOT NULL,
  scram_sha_256 text NOT NULL,
  credential_version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN accounts.name IS 'Canonical localpart';
COMMENT ON COLUMN accounts.scram_sha_256 IS 'iterations:salt$StoredKey:ServerKey, as in RFC 5803';

-- No foreign keys on the tables of the log and the queues: each check would cost as much as the row.

CREATE TABLE messages (
  id uuid PRIMARY KEY,
  ts timestamptz NOT NULL,
  kind text NOT NULL,
  sender bigint NOT NULL,
  receiver bigint NOT NULL,
  device text,
  to_resource text,
  oid text,
  xid text,
  ref text,
  ttl bigint,
  format text NOT NULL,
  body text NOT NULL,
  text text
);
COMMENT ON COLUMN messages.body IS 'What the sender''s border accepted: format json is a content, xml the children of a <message>';
COMMENT ON COLUMN messages.text IS 'Plain text, for search';
COMMENT ON COLUMN messages.oid IS 'Idempotency key that the sender chose; repeats are found by oids';
COMMENT ON COLUMN messages.xid IS 'XMPP id attribute, for references only';

CREATE TABLE archive (
  owner bigint NOT NULL,
  seq bigint NOT NULL,
  peer bigint NOT NULL,
  message uuid NOT NULL,
  PRIMARY KEY (owner, seq)
);
CREATE INDEX archive_by_peer ON archive (owner, peer, seq);
COMMENT ON TABLE archive IS 'The logs: one row per owner of a message, one only for a message to oneself';

CREATE TABLE oids (
  sender bigint NOT NULL,
  key bytea NOT NULL,
  message uuid NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (sender, key)
) WITH (fillfactor = 90);
COMMENT ON TABLE oids IS 'Idempotency keys, good for 7 days: SHA-256 of oid and content hash, and the first message that had them';

CREATE TABLE subjects (
  name text PRIMARY KEY,
  last bigint NOT NULL DEFAULT 0
);
INSERT INTO subjects (name) VALUES ('accounts');
COMMENT ON TABLE subjects IS 'Counters of changes, locked until commit: no lower number appears after a higher one';

CREATE TABLE changes (
  subject text NOT NULL,
  n bigint NOT NULL,
  detail jsonb NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (subject, n)
);
COMMENT ON TABLE changes IS 'What other processes must know of, by subject';

CREATE TABLE secrets (
  name text PRIMARY KEY,
  value bytea NOT NULL
);

CREATE TABLE sessions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account bigint NOT NULL,
  client_id text NOT NULL,
  epoch bigint NOT NULL DEFAULT 1,
  expiry_interval bigint NOT NULL,
  disconnected_at timestamptz,
  head bigint NOT NULL DEFAULT 0,
  sent bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX sessions_key ON sessions (account, text_key(client_id));
COMMENT ON TABLE sessions IS 'Persistent sessions of MQTT; account 0 is anonymous';
COMMENT ON COLUMN sessions.epoch IS 'Fencing token: raised by each takeover';
COMMENT ON COLUMN sessions.head IS 'All queue positions up to here are acknowledged';
COMMENT ON COLUMN sessions.sent IS 'Queue positions up to here may have been sent: they go out again with DUP';
COMMENT ON COLUMN sessions.disconnected_at IS 'When the client left; null while it is online';

CREATE TABLE subscriptions (
  session bigint NOT NULL,
  filter text NOT NULL,
  qos smallint NOT NULL,
  no_local boolean NOT NULL,
  retain_as_published boolean NOT NULL,
  subscription_id integer NOT NULL,
  position bigint
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX subscriptions_key ON subscriptions (session, text_key(filter));
COMMENT ON COLUMN subscriptions.position IS 'Of a stream: acknowledged up to this seq; null for a plain filter';

CREATE TABLE queue_bodies (
  position bigint PRIMARY KEY,
  topic text NOT NULL,
  payload bytea NOT NULL,
  properties bytea NOT NULL,
  expires_at timestamptz
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
        autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000);
COMMENT ON TABLE queue_bodies IS 'Plain publications that wait for persistent sessions; each once, however many wait';

CREATE TABLE queue_references (
  session bigint NOT NULL,
  position bigint NOT NULL,
  retain boolean NOT NULL,
  subscription_ids integer[] NOT NULL,
  PRIMARY KEY (session, position)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
        autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000);
CREATE INDEX queue_references_by_position ON queue_references (position);
COMMENT ON TABLE queue_references IS 'Which session waits for which body';

CREATE TABLE retained (
  topic text NOT NULL,
  payload bytea NOT NULL,
  properties bytea NOT NULL,
  qos smallint NOT NULL,
  expires_at timestamptz
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX retained_key ON retained (text_key(topic));
