-- One file, one process. Secrets are sealed or hashed; times are seconds since 1970, UTC.

CREATE TABLE IF NOT EXISTS accounts (
  member_id     TEXT PRIMARY KEY,
  agency_id     TEXT NOT NULL,
  name          TEXT NOT NULL,
  federal       INTEGER NOT NULL DEFAULT 0,
  password_hash TEXT NOT NULL DEFAULT '',
  totp_sealed   BLOB NOT NULL DEFAULT x'',
  totp_step     INTEGER NOT NULL DEFAULT 0,
  disabled      INTEGER NOT NULL DEFAULT 0,
  created_at    REAL NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS passkeys (
  credential_id BLOB PRIMARY KEY,
  member_id     TEXT NOT NULL REFERENCES accounts,
  public_key    BLOB NOT NULL,
  sign_count    INTEGER NOT NULL,
  synced        INTEGER NOT NULL,
  created_at    REAL NOT NULL
) STRICT;

-- Counted by what was typed, whether or not there is such an account: a lock tells nobody who exists.
CREATE TABLE IF NOT EXISTS attempts (
  member_id    TEXT PRIMARY KEY,
  failures     INTEGER NOT NULL,
  last_at      REAL NOT NULL,
  locked_until REAL NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE IF NOT EXISTS enrolments (
  token_hash BLOB PRIMARY KEY,
  member_id  TEXT NOT NULL REFERENCES accounts,
  expires_at REAL NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS sessions (
  session_hash BLOB PRIMARY KEY,
  member_id    TEXT NOT NULL REFERENCES accounts,
  amr          TEXT NOT NULL,
  signed_in_at REAL NOT NULL,
  last_used_at REAL NOT NULL,
  ended        INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE IF NOT EXISTS refresh_tokens (
  token_hash   BLOB PRIMARY KEY,
  session_hash BLOB NOT NULL REFERENCES sessions,
  client_id    TEXT NOT NULL,
  used         INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE IF NOT EXISTS signing_keys (
  key_id     TEXT PRIMARY KEY,
  sealed     BLOB NOT NULL,
  public     TEXT NOT NULL,
  created_at REAL NOT NULL
) STRICT;
