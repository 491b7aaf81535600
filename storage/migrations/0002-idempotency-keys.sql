-- A REST client's key may not come back with other content: so keys are found by themselves, too, and claimed for their first content.

ALTER TABLE oids ADD COLUMN oid bytea;
UPDATE oids SET oid = coalesce((SELECT text_key(m.oid) FROM messages AS m WHERE m.id = oids.message), key);
ALTER TABLE oids DROP CONSTRAINT oids_pkey, ALTER COLUMN oid SET NOT NULL, ADD PRIMARY KEY (sender, oid, key);
COMMENT ON TABLE oids IS 'Idempotency keys, good for 7 days, and the first message that had them';
COMMENT ON COLUMN oids.oid IS 'SHA-256 of the key that the sender chose';
COMMENT ON COLUMN oids.key IS 'SHA-256 of that key and the content''s hash';

CREATE TABLE oid_claims (
  sender bigint NOT NULL,
  oid bytea NOT NULL,
  key bytea NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (sender, oid)
) WITH (fillfactor = 90);
COMMENT ON TABLE oid_claims IS 'With what content a REST client used a key first, good for 7 days; oid and key as in oids';
