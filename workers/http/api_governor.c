/* SPDX-License-Identifier: ISC */
/*
 * The governor's configuration in force (contract 3.5), and the switches an
 * operator looks for beside it (D-51). It comes from the parent's
 * configuration, so that it answers while audit is down. Only true states are
 * told: the three flags nothing implements are false (D-24).
 */
#include "common/jw.h"
#include "workers/http/api.h"

void
api_governor_config(struct http_req *req, const char *name)
{
	const struct settings *s = req->ctx->settings;
	struct buf b = BUF_INITIALIZER;
	struct jw w;
	unsigned i;

	jw_init(&w, &b, false);
	jw_obj(&w);
	jw_kstr(&w, "mode", settings_str(s, SET_GOVERNOR_MODE));
	jw_kint(&w, "risk_block_threshold",
	    settings_int(s, SET_RISK_BLOCK_THRESHOLD));
	jw_kint(&w, "risk_warn_threshold",
	    settings_int(s, SET_RISK_WARN_THRESHOLD));
	jw_kbool(&w, "adaptive", false);
	jw_kbool(&w, "consensus", false);
	jw_kbool(&w, "multi_agent", false);
	jw_key(&w, "rule_files");
	jw_arr(&w);
	for (i = 0; i < req->ctx->nrules; i++)
		jw_str(&w, req->ctx->rules[i].name);
	jw_arr_end(&w);
	jw_kbool(&w, "skill_acl", settings_bool(s, SET_ENABLE_SKILL_ACL));
	jw_kbool(&w, "skill_validation",
	    settings_bool(s, SET_ENABLE_SKILL_VALIDATION));
	jw_kbool(&w, "code_exec", settings_bool(s, SET_ENABLE_CODE_EXEC));
	jw_kstr(&w, "sandbox_backend", settings_str(s, SET_SANDBOX_BACKEND));
	jw_kuint(&w, "config_generation", req->ctx->conf_generation);
	jw_obj_end(&w);
	reply_buf(req, 200, &b);
}
