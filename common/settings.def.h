/* SPDX-License-Identifier: ISC */
/*
 * Every setting, once. No include guard: settings.h and settings.c read it
 * with their own SETTING().
 * SETTING(id, name, type, default, min, max, words, flags, receivers, help)
 */
#define P(x) PROC_BIT(PROC_##x)
/* ---- service ---- */
SETTING(HOST, "HOST", ST_STR, "127.0.0.1", 1, 255, NULL, 0, P(PARENT),
    "Address to listen on (numeric).")
SETTING(PORT, "PORT", ST_INT, "8000", 0, 65535, NULL, 0, P(PARENT),
    "TCP port; 0 picks a free one.")
SETTING(HTTP_WORKERS, "HTTP_WORKERS", ST_INT, "1", 1, PROC_HTTP_MAX, NULL, 0,
    P(PARENT), "Number of http workers.")
SETTING(EVIDENCE_DIR, "EVIDENCE_DIR", ST_PATH, "/var/lib/archillx/evidence",
    1, 3000, NULL, 0, P(PARENT), "Journal and other evidence.")
SETTING(STATE_DIR, "STATE_DIR", ST_PATH, "/var/lib/archillx/state", 1, 3000,
    NULL, 0, P(PARENT), "Database and keys.")
SETTING(RUN_DIR, "RUN_DIR", ST_PATH, "/run/archillx", 1, 100, NULL, 0,
    P(PARENT), "Control socket.")
SETTING(SKILLS_DIR, "SKILLS_DIR", ST_PATH, "", 0, 3000, NULL, SF_LIVE,
    P(PARENT), "Skill manifests; empty: skills.d beside the configuration.")
SETTING(GOVERNOR_DIR, "GOVERNOR_DIR", ST_PATH, "", 0, 3000, NULL, SF_LIVE,
    P(PARENT), "Governor rules; empty: governor.d beside the configuration.")
SETTING(APP_VERSION, "APP_VERSION", ST_STR, "", 0, 64, NULL, SF_LIVE,
    P(PARENT) | P(HTTP), "Version to report; empty: the built one.")
SETTING(NODE_NAME, "NODE_NAME", ST_STR, "", 0, 64, NULL, 0,
    P(PARENT) | P(AUDIT), "Name of this node in records; empty: host name.")
SETTING(LOG_LEVEL, "LOG_LEVEL", ST_ENUM, "INFO", 0, 0,
    "ERROR|WARNING|INFO|DEBUG", SF_LIVE, P(PARENT) | PROC_WORKERS,
    "What is logged.")
SETTING(SANDBOX_MODE, "CONFINEMENT", ST_ENUM, "kill", 0, 0,
    "kill|errno|log|off", 0, P(PARENT),
    "Answer to a system call outside a worker's list.")
SETTING(RESTART_DELAY_MAX, "RESTART_DELAY_MAX", ST_INT, "60", 1, 3600, NULL,
    SF_LIVE, P(PARENT), "Ceiling of the restart delay, seconds.")
SETTING(RESTART_BURST, "RESTART_BURST", ST_INT, "5", 0, 1000, NULL, SF_LIVE,
    P(PARENT), "Deaths of one worker in 60 s that end the service; 0 never.")
SETTING(DRAIN_TIMEOUT, "DRAIN_TIMEOUT", ST_INT, "30", 1, 3600, NULL, SF_LIVE,
    P(PARENT), "Seconds for work in flight when stopping.")
SETTING(USER_PREFIX, "USER_PREFIX", ST_STR, "_archillx_", 1, 20, NULL, 0,
    P(PARENT), "Service users are this prefix and http, audit, store, ...")

/* ---- access ---- */
SETTING(AUTH, "AUTH", ST_ENUM, "required", 0, 0, "required|off", SF_LIVE,
    P(PARENT) | P(AUDIT) | P(HTTP), "off lets everyone in as anonymous.")
SETTING(API_KEY, "API_KEY", ST_STR, "", 0, 512, NULL, SF_LIVE | SF_SECRET,
    P(PARENT), "Credential with role api_key.")
SETTING(ADMIN_TOKEN, "ADMIN_TOKEN", ST_STR, "", 0, 512, NULL,
    SF_LIVE | SF_SECRET, P(PARENT), "Credential with role admin.")
SETTING(KEY_FILE, "KEY_FILE", ST_PATH, "", 0, 3000, NULL, SF_LIVE, P(PARENT),
    "More credentials (archillxctl key new); empty: STATE_DIR/keys.")
SETTING(ENABLE_RATE_LIMIT, "ENABLE_RATE_LIMIT", ST_BOOL, "no", 0, 0, NULL,
    SF_LIVE, P(HTTP), "Limit requests per client.")
SETTING(RATE_LIMIT_PER_MIN, "RATE_LIMIT_PER_MIN", ST_INT, "120", 1, 1000000,
    NULL, SF_LIVE, P(HTTP), "Requests a minute.")
SETTING(HIGH_RISK_RATE_LIMIT_PER_MIN, "HIGH_RISK_RATE_LIMIT_PER_MIN", ST_INT,
    "15", 1, 1000000, NULL, SF_LIVE, P(HTTP), "Invocations a minute.")
SETTING(TRUSTED_PROXIES, "TRUSTED_PROXIES", ST_LIST, "", 0, 4000, NULL,
    SF_LIVE, P(HTTP), "Addresses whose X-Forwarded-For is believed.")

/* ---- http limits ---- */
SETTING(HTTP_MAX_HEADER, "HTTP_MAX_HEADER", ST_SIZE, "16K", 1024, 1048576,
    NULL, SF_LIVE, P(HTTP), "Request line and fields, bytes.")
SETTING(HTTP_MAX_BODY, "HTTP_MAX_BODY", ST_SIZE, "2M", 1024, 4194304, NULL,
    SF_LIVE, P(HTTP), "Request body, bytes.")
SETTING(HTTP_MAX_CONNECTIONS, "HTTP_MAX_CONNECTIONS", ST_INT, "1024", 1, 60000,
    NULL, 0, P(PARENT) | P(HTTP), "Open connections of one http worker.")
SETTING(HTTP_MAX_STREAMS, "HTTP_MAX_STREAMS", ST_INT, "64", 1, 10000, NULL,
    SF_LIVE, P(HTTP), "Exports and followers of one http worker at once.")
SETTING(HTTP_IDLE_TIMEOUT, "HTTP_IDLE_TIMEOUT", ST_INT, "60", 1, 3600, NULL,
    SF_LIVE, P(HTTP), "Seconds an idle connection, or a stream that is not read, is kept.")
SETTING(HTTP_HEADER_TIMEOUT, "HTTP_HEADER_TIMEOUT", ST_INT, "10", 1, 3600,
    NULL, SF_LIVE, P(HTTP), "Seconds for a whole request head.")
SETTING(HTTP_BODY_TIMEOUT, "HTTP_BODY_TIMEOUT", ST_INT, "30", 1, 3600, NULL,
    SF_LIVE, P(HTTP), "Seconds for a whole request body.")

/* ---- gate ---- */
SETTING(GOVERNOR_MODE, "GOVERNOR_MODE", ST_ENUM, "soft_block", 0, 0,
    "off|audit_only|soft_block|hard_block", SF_LIVE,
    P(PARENT) | P(AUDIT) | P(HTTP), "What the governor's score does.")
SETTING(RISK_BLOCK_THRESHOLD, "RISK_BLOCK_THRESHOLD", ST_INT, "90", 0, 100,
    NULL, SF_LIVE, P(PARENT) | P(AUDIT) | P(HTTP), "Score that blocks.")
SETTING(RISK_WARN_THRESHOLD, "RISK_WARN_THRESHOLD", ST_INT, "70", 0, 100, NULL,
    SF_LIVE, P(PARENT) | P(AUDIT) | P(HTTP), "Score that warns.")
SETTING(ENABLE_SKILL_ACL, "ENABLE_SKILL_ACL", ST_BOOL, "yes", 0, 0, NULL,
    SF_LIVE, P(AUDIT) | P(HTTP), "Enforce the ACL of skills.")
SETTING(ENABLE_SKILL_VALIDATION, "ENABLE_SKILL_VALIDATION", ST_BOOL, "yes", 0,
    0, NULL, SF_LIVE, P(AUDIT) | P(HTTP), "Check inputs against the schema.")
SETTING(GATE_MAX_INFLIGHT, "GATE_MAX_INFLIGHT", ST_INT, "1024", 1, 100000,
    NULL, SF_LIVE, P(AUDIT), "Open permits; beyond, 503.")

/* ---- audit ---- */
SETTING(AUDIT_RESERVE, "AUDIT_RESERVE", ST_SIZE, "4M", 65536, 1073741824, NULL,
    0, P(AUDIT), "Disk space the journal keeps allocated ahead.")
SETTING(AUDIT_FILE_MAX_BYTES, "AUDIT_FILE_MAX_BYTES", ST_SIZE, "64M", 1048576,
    1099511627776, NULL, 0, P(AUDIT), "Size at which the journal rotates.")

SETTING(AUDIT_MIN_FREE, "AUDIT_MIN_FREE", ST_SIZE, "64M", 0, 1099511627776,
    NULL, SF_LIVE, P(AUDIT), "Free space below which actions are refused.")
SETTING(AUDIT_COMPRESS, "AUDIT_COMPRESS", ST_BOOL, "yes", 0, 0, NULL, SF_LIVE,
    P(AUDIT), "Compress closed segments with zstd.")
SETTING(AUDIT_SIGNING, "AUDIT_SIGNING", ST_ENUM, "required", 0, 0,
    "required|off", 0, P(PARENT) | P(AUDIT) | P(NOTARY) | P(HTTP),
    "off runs without a signing key: nothing proves the journal.")
SETTING(AUDIT_CHECKPOINT_INTERVAL, "AUDIT_CHECKPOINT_INTERVAL", ST_INT, "1", 1,
    3600, NULL, SF_LIVE, P(NOTARY), "Seconds between checkpoints.")
SETTING(CHECKPOINT_SINK, "CHECKPOINT_SINK", ST_STR, "", 0, 1000, NULL, SF_LIVE,
    P(PARENT), "Folder, or command line, that gets each new checkpoint.")

/* ---- store ---- */
SETTING(DB_TYPE, "DB_TYPE", ST_ENUM, "sqlite", 0, 0, "sqlite", 0,
    P(PARENT) | P(STORE), "Engine of the database.")
SETTING(DB_NAME, "DB_NAME", ST_STR, "archillx", 1, 64, NULL, 0,
    P(PARENT) | P(STORE), "File STATE_DIR/db/NAME.db.")
SETTING(ENABLE_MIGRATION_CHECK, "ENABLE_MIGRATION_CHECK", ST_BOOL, "yes", 0, 0,
    NULL, SF_LIVE, P(STORE) | P(HTTP), "Look at the schema's revision.")
SETTING(REQUIRE_MIGRATION_HEAD, "REQUIRE_MIGRATION_HEAD", ST_BOOL, "yes", 0, 0,
    NULL, SF_LIVE, P(STORE) | P(HTTP), "Another revision is degraded.")

/* ---- metrics ---- */
SETTING(ENABLE_METRICS, "ENABLE_METRICS", ST_BOOL, "yes", 0, 0, NULL, SF_LIVE,
    P(HTTP), "Serve /metrics.")

/* ---- sandbox ---- */
SETTING(ENABLE_CODE_EXEC, "ARCHILLX_ENABLE_CODE_EXEC", ST_BOOL, "no", 0, 0,
    NULL, SF_LIVE, P(AUDIT) | P(HTTP) | P(BROKER), "Master switch.")
SETTING(SANDBOX_BACKEND, "ARCHILLX_SANDBOX_BACKEND", ST_ENUM, "process", 0, 0,
    "process", 0, P(PARENT) | P(BROKER) | P(HTTP) | P(AUDIT),
    "Back end of code_exec.")
SETTING(CODE_MAX_BYTES, "ARCHILLX_CODE_MAX_BYTES", ST_SIZE, "12000", 256,
    1048576, NULL, SF_LIVE, P(AUDIT) | P(BROKER), "Longest source text.")
SETTING(CODE_MAX_STDOUT_BYTES, "ARCHILLX_CODE_MAX_STDOUT_BYTES", ST_SIZE,
    "4096", 256, 1048576, NULL, SF_LIVE, P(BROKER), "Kept of stdout.")
SETTING(CODE_MAX_STDERR_BYTES, "ARCHILLX_CODE_MAX_STDERR_BYTES", ST_SIZE,
    "2048", 256, 1048576, NULL, SF_LIVE, P(BROKER), "Kept of stderr.")
SETTING(SANDBOX_MEMORY, "SANDBOX_MEMORY", ST_SIZE, "128M", 16777216,
    17179869184, NULL, SF_LIVE, P(BROKER), "Memory of one sandbox.")
SETTING(SANDBOX_PIDS, "SANDBOX_PIDS", ST_INT, "64", 2, 4096, NULL, SF_LIVE,
    P(BROKER), "Processes and threads of one sandbox.")
SETTING(SANDBOX_CPU_PERCENT, "SANDBOX_CPU_PERCENT", ST_INT, "100", 1, 6400,
    NULL, SF_LIVE, P(BROKER), "CPU of one sandbox; 100 is one core.")
SETTING(SANDBOX_TIMEOUT_MAX, "SANDBOX_TIMEOUT_MAX", ST_INT, "8", 1, 3600, NULL,
    SF_LIVE, P(AUDIT) | P(BROKER), "Longest run, seconds.")
SETTING(SANDBOX_DISK, "SANDBOX_DISK", ST_SIZE, "16M", 65536, 1073741824, NULL,
    SF_LIVE, P(BROKER), "Size of a sandbox's writable file systems.")
SETTING(SANDBOX_CONCURRENCY, "SANDBOX_CONCURRENCY", ST_INT, "4", 1, 256, NULL,
    SF_LIVE, P(BROKER) | P(AUDIT), "Sandboxes at once.")
SETTING(SANDBOX_QUEUE, "SANDBOX_QUEUE", ST_INT, "64", 0, 10000, NULL, SF_LIVE,
    P(BROKER) | P(AUDIT), "Runs that may wait.")
SETTING(SANDBOX_ALLOW_NO_CGROUP, "SANDBOX_ALLOW_NO_CGROUP", ST_BOOL, "no", 0,
    0, NULL, SF_LIVE, P(BROKER) | P(HTTP), "Run without memory and pids limits.")
SETTING(CGROUP_DIR, "SANDBOX_CGROUP", ST_STR, "", 0, 3000, NULL, 0, P(PARENT),
    "Name of the cgroup below the service's own; empty: archillx-<pid>.")

/* ---- file_ops ---- */
SETTING(FILE_WHITELIST, "ARCHILLX_FILE_WHITELIST", ST_LIST, "", 0, 8000, NULL,
    0, P(PARENT), "Folders that file_ops may use.")
SETTING(FILE_MAX_READ_BYTES, "ARCHILLX_FILE_MAX_READ_BYTES", ST_SIZE, "1M",
    1024, 4194304, NULL, SF_LIVE, P(FILES), "Largest file read.")
SETTING(FILE_MAX_WRITE_BYTES, "ARCHILLX_FILE_MAX_WRITE_BYTES", ST_SIZE, "1M",
    1024, 2097152, NULL, SF_LIVE, P(FILES) | P(AUDIT), "Largest file written.")
#undef P
