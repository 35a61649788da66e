-- Drops what is derived; the rows stay. After the next upgrade the store
-- applies the journal from its first line again.
-- step
DROP TABLE ah_audit_rollup
-- step
DROP INDEX ix_ah_audit_log_class
-- step
DROP TABLE ah_audit_class
-- step
DROP TABLE ah_audit_node
-- step
DROP TABLE ah_projection
