-- Shared subscriptions: what a member of a group has not taken can go to another member.

ALTER TABLE queue_references ADD COLUMN share text NOT NULL DEFAULT '';
COMMENT ON COLUMN queue_references.share IS 'The shared subscription that it was chosen for, $share/name/filter; then its body has no other reference. Empty: none';
