-- Sessions that span several hosts. A row with a host is the id of a session on
-- that host, or a code that leads to one.
ALTER TABLE gatehouse.sessions
	ADD COLUMN host  text   NOT NULL DEFAULT '',
	ADD COLUMN hosts text[] NOT NULL DEFAULT '{}'; -- of a session: host and key of each of its ids, in turn
