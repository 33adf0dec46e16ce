-- Invitations by the SHA-256 of their code, which is never stored. One with `email_key` is good only for whoever a login
-- provider says has that e-mail address, and then needs no code. Each is used once. Times in microseconds.
CREATE TABLE invitation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    email_key TEXT,
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    used_us INTEGER
) STRICT;

CREATE INDEX invitation_email ON invitation (email_key) WHERE used_us IS NULL;

-- Whose an account at a login provider is. Issuer and subject are the key; the e-mail address at the time is for people
-- to read and decides nothing.
CREATE TABLE social_identity (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    account_id INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    email TEXT,
    created_us INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX social_identity_account ON social_identity (account_id);
