-- How and when somebody signed in, and what authenticates a record. A row
-- without proof was written by a program that knew version 1 of this schema.
ALTER TABLE gatehouse.sessions
	ADD COLUMN auth_time timestamptz,
	ADD COLUMN level     integer NOT NULL DEFAULT 0,
	ADD COLUMN methods   text[]  NOT NULL DEFAULT '{}',
	ADD COLUMN actor     text    NOT NULL DEFAULT '',
	ADD COLUMN proof     bytea, -- of all but seen, and expires where idle moves it
	ADD COLUMN mark      bytea; -- of seen
