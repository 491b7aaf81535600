-- Who logged in, who read, who administered. What the log of messages says already is not written twice.

CREATE TABLE audit (
  n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id uuid NOT NULL UNIQUE,
  at timestamptz NOT NULL,
  action text NOT NULL,
  border text NOT NULL,
  account bigint,
  name text,
  address text,
  target text,
  detail jsonb NOT NULL
);
CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_action ON audit (action, n);
CREATE INDEX audit_by_name ON audit (text_key(name), n);
COMMENT ON COLUMN audit.n IS 'The order in which rows were written';
COMMENT ON COLUMN audit.id IS 'Made by the node: a row that is written again is written once';
COMMENT ON COLUMN audit.name IS 'Who did it, as far as known; target: to whom or what';
