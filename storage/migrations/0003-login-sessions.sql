-- Logins that can be renewed and ended.

CREATE TABLE login_sessions (
  id uuid PRIMARY KEY,
  account bigint NOT NULL,
  credential_version integer NOT NULL,
  refresh_hash bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  ended_at timestamptz
);
CREATE INDEX login_sessions_by_expiry ON login_sessions (expires_at);
CREATE INDEX login_sessions_by_end ON login_sessions (ended_at) WHERE ended_at IS NOT NULL;
COMMENT ON TABLE login_sessions IS 'One row per login over HTTP; access tokens name it, refresh tokens renew it';
COMMENT ON COLUMN login_sessions.refresh_hash IS 'SHA-256 of the one refresh token that is good now: another one for this login was used before';
COMMENT ON COLUMN login_sessions.ended_at IS 'Logged out, or ended because a refresh token came back';
