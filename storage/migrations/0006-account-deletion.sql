-- Accounts that were deleted: a tombstone keeps the name for what others have of them, and from being given out again.

ALTER TABLE accounts ADD COLUMN deleted_at timestamptz;
COMMENT ON COLUMN accounts.deleted_at IS 'A tombstone: cannot log in, has no log and no verifiers, and its name is not given out again';

-- A tombstone owns no log: without its row in owners no append can reach it.
ALTER TABLE accounts DROP CONSTRAINT accounts_id_fkey;
