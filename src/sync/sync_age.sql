-- Syncs whose data is older than their max_staleness, and that this has been told of.
CREATE TABLE makini._stale (
	sync_id bigint PRIMARY KEY
);
