-- The work queue beanstalkd (github.com/beanstalkd/beanstalkd, doc/protocol.txt): lines, some with a body whose length they tell.
local commands = {put = 4, reserve = false, ["reserve-with-timeout"] = false, delete = false, release = false, bury = false, touch = false,
	watch = false, ignore = false, use = false, peek = false, ["peek-ready"] = false, ["peek-delayed"] = false, ["peek-buried"] = false,
	kick = false, ["kick-job"] = false, stats = false, ["stats-job"] = false, ["stats-tube"] = false, ["list-tubes"] = false,
	["list-tube-used"] = false, ["list-tubes-watched"] = false, quit = false, ["pause-tube"] = false}
local answers = {INSERTED = true, RESERVED = 2, DELETED = true, RELEASED = true, BURIED = true, TOUCHED = true, WATCHING = true, USING = true,
	FOUND = 2, OK = 1, KICKED = true, PAUSED = true, TIMED_OUT = true, DEADLINE_SOON = true, NOT_FOUND = true, NOT_IGNORED = true,
	OUT_OF_MEMORY = true, INTERNAL_ERROR = true, BAD_FORMAT = true, UNKNOWN_COMMAND = true, EXPECTED_CRLF = true, JOB_TOO_BIG = true, DRAINING = true}
local failed = {NOT_FOUND = true, NOT_IGNORED = true, OUT_OF_MEMORY = true, INTERNAL_ERROR = true, BAD_FORMAT = true, UNKNOWN_COMMAND = true,
	EXPECTED_CRLF = true, JOB_TOO_BIG = true, DRAINING = true}

local function words(bytes)
	local line = bytes:match("^([^\r\n]*)\r\n")
	if not line then return nil end
	local w = {}
	for x in line:gmatch("%S+") do w[#w + 1] = x end
	return w, #line + 2
end

return {
	protocol = "beanstalkd",
	help = "a command of a work queue and its answer",
	over = "tcp",
	ports = {11300},
	-- how sure these first bytes are of this protocol, 0 to 100; nil: more are needed
	probe = function(bytes, kind)
		local w = words(bytes)
		if not w then return #bytes < 224 and bytes:match("^[%a%-_]*$") and nil or (#bytes < 224 and nil or 0) end
		local known = kind == "request" and commands or answers
		if known[w[1]] == nil then return 0 end
		return (w[1] == "stats" or w[1] == "OK" or w[1] == "quit") and 30 or 65
	end,
	-- how long the message at the front is; nil: more bytes are needed; 0: this is none
	frame = function(bytes, kind)
		local w, n = words(bytes)
		if not w then return #bytes < 1024 and nil or 0 end
		local at = (kind == "request" and commands or answers)[w[1]]
		if at == nil then return 0 end
		if math.type(at) == "integer" then
			local size = tonumber(w[1 + at])
			if not size then return 0 end
			n = n + size + 2
		end
		return n
	end,
	-- what it says
	message = function(bytes, kind)
		local w = words(bytes)
		if kind == "request" then
			return {operation = w[1], resource = w[1] ~= "put" and w[2] or nil, one_way = w[1] == "quit"}
		end
		return {status = w[1], error = failed[w[1]] or false, detail = {id = (w[1] == "INSERTED" or w[1] == "RESERVED") and w[2] or nil}}
	end,
}
