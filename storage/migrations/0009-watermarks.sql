-- Receipts and read markers: of each conversation and account the newest one.

CREATE TABLE watermarks (
  owner bigint NOT NULL,
  peer bigint NOT NULL,
  account bigint NOT NULL,
  kind text NOT NULL,
  id uuid NOT NULL,
  message uuid NOT NULL,
  xid text,
  place timestamptz NOT NULL,
  at timestamptz NOT NULL,
  n bigint NOT NULL,
  PRIMARY KEY (owner, peer, account, kind)
) WITH (fillfactor = 70);
CREATE INDEX watermarks_by_owner ON watermarks (owner, n);
CREATE INDEX watermarks_by_n ON watermarks (n);
COMMENT ON TABLE watermarks IS 'One row per owner who is told: a marker concerns both ends, a receipt the sender';
COMMENT ON COLUMN watermarks.account IS 'Who has got (receipt) or read (marker) all up to the message: the owner or the peer';
COMMENT ON COLUMN watermarks.xid IS 'XMPP id attribute of the message';
COMMENT ON COLUMN watermarks.place IS 'Time of the message: an older one moves nothing';
COMMENT ON COLUMN watermarks.n IS 'Order in the stream evt; given out by the node, increasing';

ALTER TABLE sessions ADD COLUMN event_position bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN sessions.event_position IS 'Of the stream evt all up to here is acknowledged';
