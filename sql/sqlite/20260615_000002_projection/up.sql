-- What makes the database a projection of the journal: how far it was applied,
-- and the counts that keep summaries cheap.
-- step
-- One row: the last line applied. Written in the transaction of its rows.
CREATE TABLE ah_projection (
	id INTEGER PRIMARY KEY CHECK (id = 1),
	segment INTEGER NOT NULL,
	offset INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	leaf BLOB NOT NULL,
	skipped INTEGER NOT NULL,
	cursor_key BLOB NOT NULL
)
-- step
CREATE TABLE ah_audit_node (
	id INTEGER PRIMARY KEY,
	name VARCHAR(64) NOT NULL CONSTRAINT uq_ah_audit_node_name UNIQUE
)
-- step
-- The distinct (action, decision, risk_score). Every filter of the API is a
-- set of classes, so one index on (class, time) serves them all.
CREATE TABLE ah_audit_class (
	id INTEGER PRIMARY KEY,
	action VARCHAR(256) NOT NULL,
	decision VARCHAR(16) NOT NULL,
	risk_score INTEGER NOT NULL,
	CONSTRAINT uq_ah_audit_class UNIQUE (action, decision, risk_score)
)
-- step
CREATE INDEX ix_ah_audit_log_class ON ah_audit_log (class, created_at, id)
-- step
-- span 0: all time (start 0); 1: minutes, 2: hours, 3: days since 1970.
CREATE TABLE ah_audit_rollup (
	span INTEGER NOT NULL,
	start INTEGER NOT NULL,
	class INTEGER NOT NULL,
	n INTEGER NOT NULL,
	latest INTEGER NOT NULL,
	PRIMARY KEY (span, start, class)
) WITHOUT ROWID
