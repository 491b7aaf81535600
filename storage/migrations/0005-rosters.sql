-- Contacts and their subscriptions.

CREATE TABLE rosters (
  owner bigint PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
  version bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
COMMENT ON TABLE rosters IS 'Locked in order of owner by every change of a roster: both ends of a subscription change together';

CREATE TABLE roster_items (
  owner bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
  address text NOT NULL,
  contact bigint REFERENCES accounts ON DELETE CASCADE,
  name text NOT NULL,
  groups text[] NOT NULL,
  subscription text NOT NULL CHECK (subscription IN ('none', 'to', 'from', 'both')),
  ask boolean NOT NULL,
  request text,
  approved boolean NOT NULL,
  listed boolean NOT NULL,
  PRIMARY KEY (owner, address)
);
CREATE INDEX roster_items_by_contact ON roster_items (contact);
COMMENT ON COLUMN roster_items.address IS 'Canonical bare address';
COMMENT ON COLUMN roster_items.contact IS 'Its account; null when there is none on this server';
COMMENT ON COLUMN roster_items.ask IS 'The owner has asked to see the contact''s presence and waits for the answer';
COMMENT ON COLUMN roster_items.request IS 'The contact asks to see the owner''s presence: children of its <presence>; null when it does not';
COMMENT ON COLUMN roster_items.approved IS 'A request of the contact will be granted without asking';
COMMENT ON COLUMN roster_items.listed IS 'False: only here for the contact''s request, and shown to no client';
