-- What the other side announced about the end of parts of its interface.

-- What was last written down of it; src/event/deprecation.c does that.
CREATE TABLE makini._deprecation (
	connection_id uuid NOT NULL REFERENCES makini._connection ON UPDATE CASCADE ON DELETE CASCADE,
	path text NOT NULL,
	first_seen timestamptz NOT NULL,
	last_seen timestamptz NOT NULL,
	deprecated_at timestamptz,
	sunset_at timestamptz,
	link text,
	-- what the last event said: how many days ahead (0: no mark was reached yet), of which end
	told_at timestamptz,
	told_days int,
	told_sunset_at timestamptz,
	PRIMARY KEY (connection_id, path)
);
SELECT pg_extension_config_dump('makini._deprecation', '');

-- Shared memory says what was learned last, the table what it forgot.
CREATE VIEW makini.api_deprecation WITH (security_barrier) AS
	SELECT connection_id,
		path,
		least(d.first_seen, n.first_seen) AS first_seen,
		greatest(d.last_seen, n.last_seen) AS last_seen,
		CASE WHEN n.path IS NULL THEN d.deprecated_at ELSE n.deprecated_at END AS deprecated_at,
		until.sunset_at,
		CASE WHEN n.path IS NULL THEN d.link ELSE n.link END AS link,
		floor(extract(epoch FROM until.sunset_at - pg_catalog.now()) / 86400)::int AS days_left
	FROM makini._server s
	JOIN (makini._deprecation d
		FULL JOIN (SELECT k.connection_id, a.*
			FROM makini._announced_deprecation() a
			JOIN makini._server k ON k.server_oid = a.serverid) n USING (connection_id, path)) USING (connection_id)
	CROSS JOIN LATERAL (SELECT CASE WHEN n.path IS NULL THEN d.sunset_at ELSE n.sunset_at END AS sunset_at) until
	WHERE pg_catalog.has_server_privilege(s.server_oid, 'USAGE');
COMMENT ON VIEW makini.api_deprecation IS
	'What the other side announced about the end of parts of its interface, in the headers Deprecation, Sunset and Link of its answers.';
REVOKE ALL ON makini.api_deprecation FROM PUBLIC;
