-- destroys: audit
-- step
DROP TABLE ah_cron_jobs
-- step
DROP TABLE ah_skills
-- step
DROP INDEX ix_ah_audit_log_created_at
-- step
DROP TABLE ah_audit_log
