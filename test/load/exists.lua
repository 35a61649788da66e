-- SPDX-License-Identifier: ISC
-- wrk script: recorded invocations of file_ops "exists". The token and the
-- path come from the environment.
wrk.method = "POST"
wrk.path = "/v1/skills/invoke"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("AX_TOKEN")
wrk.body = string.format(
    '{"name":"file_ops","inputs":{"operation":"exists","path":"%s"}}',
    os.getenv("AX_PATH"))

local bad = 0
function response(status, headers, body)
	if status ~= 200 then
		bad = bad + 1
		if bad == 1 then
			io.stderr:write("first bad answer: ", status, " ", body,
			    "\n")
		end
	end
end
