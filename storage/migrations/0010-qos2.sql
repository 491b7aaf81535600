-- QoS 2 of persistent sessions, both ways.

ALTER TABLE queue_references
  ADD COLUMN qos smallint NOT NULL DEFAULT 1,
  ADD COLUMN released boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN queue_references.qos IS 'How the message goes out: 1 or 2';
COMMENT ON COLUMN queue_references.released IS 'QoS 2: its client has the message (PUBREC); what is left to be sent is PUBREL';

CREATE TABLE received_packets (
  session bigint NOT NULL,
  packet_id integer NOT NULL,
  PRIMARY KEY (session, packet_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
        autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000);
COMMENT ON TABLE received_packets IS 'QoS 2 publishes that were taken and are not released (PUBREL): a repeat is not published again';
