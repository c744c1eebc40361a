-- Tries to sign in, counted for all nodes: one row for each bucket (see
-- internal/limit), with the time when it will be full again, in seconds of the
-- nodes' clocks. What a crash forgets is no loss.
CREATE UNLOGGED TABLE gatehouse.throttle (
	key     bytea PRIMARY KEY,
	full_at double precision NOT NULL
);
CREATE INDEX throttle_full ON gatehouse.throttle (full_at);

-- Takes one event from each bucket, or from none, and returns how many seconds
-- to wait; 0: they are taken. every is the time in which a bucket forgets one
-- event, per that in which it forgets all. Rows are locked in the order of
-- their keys.
CREATE FUNCTION gatehouse.throttle_take(at double precision, keys bytea[], every double precision[], per double precision[])
RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
	wait double precision;
BEGIN
	INSERT INTO gatehouse.throttle (key, full_at) SELECT k, at FROM unnest(keys) AS k ORDER BY k ON CONFLICT DO NOTHING;
	PERFORM 1 FROM gatehouse.throttle AS t WHERE t.key = ANY (keys) ORDER BY t.key FOR UPDATE;
	SELECT max(least(greatest(t.full_at, at), at + b.per) + b.every - at - b.per) INTO wait
		FROM unnest(keys, every, per) AS b(key, every, per) JOIN gatehouse.throttle AS t ON t.key = b.key;
	IF wait > 0.000001 THEN
		RETURN wait;
	END IF;
	UPDATE gatehouse.throttle AS t SET full_at = least(greatest(t.full_at, at), at + b.per) + b.every
		FROM unnest(keys, every, per) AS b(key, every, per) WHERE t.key = b.key;
	RETURN 0;
END
$$;
