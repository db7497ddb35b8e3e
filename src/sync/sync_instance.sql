-- May anything run here at all?  What is restored or copied from elsewhere waits
-- until somebody decides that this is the place for it.

CREATE FUNCTION makini._instance_state(OUT instance_id uuid, OUT state text, OUT reason text, OUT since timestamptz)
	LANGUAGE C VOLATILE STRICT
	AS 'MODULE_PATHNAME', 'makini_instance_state';

CREATE VIEW makini.instance WITH (security_barrier) AS
	SELECT s.instance_id, s.state, s.reason, s.since
	FROM makini._instance_state() s;
COMMENT ON VIEW makini.instance IS 'Which installation this is, whether it runs anything, and if not why.';
GRANT SELECT ON makini.instance TO PUBLIC;

CREATE FUNCTION makini.activate_instance(events text DEFAULT 'discard', new_connection_ids boolean DEFAULT true) RETURNS bigint
	LANGUAGE C VOLATILE
	AS 'MODULE_PATHNAME', 'makini_activate_instance';
COMMENT ON FUNCTION makini.activate_instance(text, boolean) IS
	'Makes this database the place where what was restored or copied from another runs; events that were not delivered yet are discarded or kept. Says how many syncs, rules, watches and webhooks that were.';
REVOKE ALL ON FUNCTION makini.activate_instance(text, boolean) FROM PUBLIC;
