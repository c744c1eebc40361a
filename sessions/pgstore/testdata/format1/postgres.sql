CREATE SCHEMA gatehouse;
CREATE TABLE gatehouse.accounts (
    name text NOT NULL COLLATE pg_catalog."C",
    account jsonb NOT NULL
);
CREATE TABLE gatehouse.sessions (
    key text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    user_name text NOT NULL COLLATE pg_catalog."C",
    source text NOT NULL,
    stamp text NOT NULL,
    created timestamp with time zone,
    login timestamp with time zone,
    seen timestamp with time zone,
    expires timestamp with time zone NOT NULL,
    ends timestamp with time zone,
    idle interval NOT NULL,
    browser boolean NOT NULL,
    addr text NOT NULL,
    agent text NOT NULL,
    data bytea
);
CREATE TABLE gatehouse.versions (
    version integer NOT NULL,
    made timestamp with time zone DEFAULT now() NOT NULL
);
INSERT INTO gatehouse.sessions VALUES ('4d8a4667104208b53dbbe82b9865ccdfeb672744854ff9068aa4ebf6ac0bfa7a', 2, 'alice', 'file', 's1', '2026-11-28 18:33:17.590015+00', '2026-11-28 18:33:17.590013+00', '2026-11-28 18:33:18.776944+00', '2076-11-15 18:33:17.776944+00', '2126-11-04 18:33:17.590013+00', '438000:00:00', false, '192.0.2.7', 'agent', '\x0143f7c788aa1b1824461f0210f1275dde6c0edde777102e7b67383b77f3a6f89f5e3673634a34b4bab2a09f47e6279e7bc4fa5d94ce6ba41d3109669d0fc79c1f667d724f9646');
INSERT INTO gatehouse.sessions VALUES ('1da6eba41a708d693d5a66586e8ab15d4cd0ed8689ddf7ceef40062f0c945a7c', 2, 'bøb\\', 'file', 's1', '2026-11-28 18:33:17.783221+00', '2026-11-28 18:33:17.78322+00', '2026-11-28 18:33:18.796601+00', '2076-11-15 18:33:17.796601+00', '2126-11-04 18:33:17.78322+00', '438000:00:00', false, '192.0.2.7', 'agent', '\x01ed86d7266c59da44a7dcafc851f49fb1c18f83434dc9c89965284c641591ed3fc8f3537f5c17cf1764c3e3b3e5d1c2bc9374cdbbca83ad9f2d4c5e6e5538859272d7d7e98c1b61');
INSERT INTO gatehouse.versions VALUES (1, '2026-11-28 18:33:17.632902+00');
ALTER TABLE ONLY gatehouse.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (name);
ALTER TABLE ONLY gatehouse.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (key);
ALTER TABLE ONLY gatehouse.versions
    ADD CONSTRAINT versions_pkey PRIMARY KEY (version);
CREATE INDEX sessions_expires ON gatehouse.sessions USING btree (expires);
CREATE INDEX sessions_user ON gatehouse.sessions USING btree (user_name, key) WHERE (user_name <> ''::text);
