-- Who may see a sync, and what its OIDs and names mean here and now.

-- Functions in a view run with its reader's rights.
CREATE FUNCTION makini._visible(owner_oid oid, server_oid oid) RETURNS boolean
	LANGUAGE C STABLE
	AS 'MODULE_PATHNAME', 'makini_visible';
REVOKE ALL ON FUNCTION makini._visible(oid, oid) FROM PUBLIC;

CREATE VIEW makini._relation AS
	SELECT c.oid AS relid,
		pg_catalog.format('%I.%I', n.nspname, c.relname) AS name
	FROM pg_catalog.pg_class c
	JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace;

-- Every sync with what its OIDs and names mean here and now, whoever may see it.
-- A sync that was restored from elsewhere is known by names only.
CREATE VIEW makini._sync_here AS
	SELECT s.sync_id,
		s.home = makini._home() AS at_home,
		s.connection_id,
		c.server_oid,
		c.server_name,
		c.lifecycle,
		r.relid AS source_oid,
		coalesce(r.name, s.source) AS source,
		t.relid AS target_oid,
		coalesce(t.name, s.target) AS target,
		o.oid AS owner_oid,
		coalesce(o.rolname, s.owner) AS owner
	FROM makini._sync s
	LEFT JOIN makini._server c ON c.connection_id = s.connection_id
	LEFT JOIN pg_catalog.pg_authid o
		ON CASE WHEN s.home = makini._home() THEN o.oid = s.owner_oid ELSE o.rolname = s.owner END
	LEFT JOIN LATERAL (
		SELECT k.relid, k.name FROM makini._relation k WHERE s.home = makini._home() AND k.relid = s.source_oid
		UNION ALL
		SELECT k.relid, k.name FROM makini._relation k WHERE s.home <> makini._home() AND k.name = s.source) r ON true
	LEFT JOIN LATERAL (
		SELECT k.relid, k.name FROM makini._relation k WHERE s.home = makini._home() AND k.relid = s.target_oid
		UNION ALL
		SELECT k.relid, k.name FROM makini._relation k WHERE s.home <> makini._home() AND k.name = s.target) t ON true;
