-- The versions of this schema, and when they were made.
CREATE TABLE gatehouse.versions (
	version integer PRIMARY KEY,
	made    timestamptz NOT NULL DEFAULT now()
);

-- One row for each session. The times are those of the nodes' clocks; the
-- clock of the database is never asked. Text is what it was, but for bytes
-- that text cannot hold, which stand as \xNN, and \ itself, which stands as \\.
-- Keys are compared by their bytes, so that no change of a locale can spoil
-- an index.
CREATE TABLE gatehouse.sessions (
	key       text COLLATE "C" PRIMARY KEY, -- SHA-256 of the id, which stands nowhere
	version   bigint      NOT NULL,
	user_name text COLLATE "C" NOT NULL,    -- '': nobody's
	source    text        NOT NULL,
	stamp     text        NOT NULL,
	created   timestamptz,
	login     timestamptz,
	seen      timestamptz,
	expires   timestamptz NOT NULL,
	ends      timestamptz,                  -- whatever its use; null: no such limit
	idle      interval    NOT NULL,         -- how far a use moves expires
	browser   boolean     NOT NULL,
	addr      text        NOT NULL,
	agent     text        NOT NULL,
	data      bytea                         -- sealed
);
CREATE INDEX sessions_user ON gatehouse.sessions (user_name, key) WHERE user_name <> '';
CREATE INDEX sessions_expires ON gatehouse.sessions (expires);

-- One row for each account.
CREATE TABLE gatehouse.accounts (
	name    text COLLATE "C" PRIMARY KEY,
	account jsonb NOT NULL
);
