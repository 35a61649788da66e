-- The tables the runbook knows. Times are UTC microseconds since 1970.
-- step
-- The key is made of node and seq: node << 40 | seq, and a database's first
-- node is 0, so that on one machine the id of an entry is its seq.
CREATE TABLE ah_audit_log (
	id INTEGER PRIMARY KEY,
	node INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	kind VARCHAR(16) NOT NULL,
	actor TEXT,
	request_id TEXT,
	permit INTEGER,
	action VARCHAR(256) NOT NULL,
	decision VARCHAR(16) NOT NULL,
	risk_score INTEGER NOT NULL DEFAULT 0,
	reason TEXT,
	context TEXT NOT NULL DEFAULT '{}',
	created_at INTEGER NOT NULL,
	class INTEGER NOT NULL
)
-- step
CREATE INDEX ix_ah_audit_log_created_at ON ah_audit_log (created_at, id)
-- step
CREATE TABLE ah_skills (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name VARCHAR(128) NOT NULL CONSTRAINT uq_ah_skills_name UNIQUE,
	version VARCHAR(32) DEFAULT '1.0',
	description TEXT DEFAULT '',
	manifest TEXT DEFAULT '{}',
	source VARCHAR(32) DEFAULT 'local',
	enabled BOOLEAN DEFAULT 1,
	invoke_count INTEGER DEFAULT 0,
	error_count INTEGER DEFAULT 0,
	created_at INTEGER,
	updated_at INTEGER
)
-- step
CREATE TABLE ah_cron_jobs (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name VARCHAR(128) NOT NULL CONSTRAINT uq_ah_cron_jobs_name UNIQUE,
	cron_expr VARCHAR(64),
	interval_s INTEGER,
	skill_name VARCHAR(128) NOT NULL,
	input_data TEXT DEFAULT '{}',
	enabled BOOLEAN DEFAULT 1,
	governor_required BOOLEAN DEFAULT 1,
	last_run INTEGER,
	next_run INTEGER,
	run_count INTEGER DEFAULT 0,
	created_at INTEGER,
	updated_at INTEGER
)
