-- Who may see a sync, and what its OIDs and names mean here and now.

-- Functions in a view run with its reader's rights.
CREATE FUNCTION makini._visible(owner_oid oid, server_oid oid) RETURNS boolean
	LANGUAGE C STABLE
	AS 'MODULE_PATHNAME', 'makini_visible';
REVOKE ALL ON FUNCTION makini._visible(oid, oid) FROM PUBLIC;

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
		SELECT k.oid AS relid, pg_catalog.format('%I.%I', n.nspname, k.relname) AS name
		FROM pg_catalog.pg_class k JOIN pg_catalog.pg_namespace n ON n.oid = k.relnamespace
		WHERE k.oid = CASE WHEN s.home = makini._home() THEN s.source_oid ELSE pg_catalog.to_regclass(s.source) END) r ON true
	LEFT JOIN LATERAL (
		SELECT k.oid AS relid, pg_catalog.format('%I.%I', n.nspname, k.relname) AS name
		FROM pg_catalog.pg_class k JOIN pg_catalog.pg_namespace n ON n.oid = k.relnamespace
		WHERE k.oid = CASE WHEN s.home = makini._home() THEN s.target_oid ELSE pg_catalog.to_regclass(s.target) END) t ON true;
