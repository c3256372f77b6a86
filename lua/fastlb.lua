-- The administrative paths of a HAPROXY_HEAD that was written for marathon-lb's image (COMPAT.md 8): each of its Lua
-- services hands its request to fastlb's admin server. The image has this file under each name that such a head loads,
-- so it may be loaded several times, and registers once. fastlb's own head needs none of it.

if fastlb_services then
  return
end
fastlb_services = true

local SOCKET = os.getenv("ADMIN_SOCKET") or "/var/run/haproxy/admin.sock"
local WITHIN_S = 20

local function answer(applet, status, text)
  applet:set_status(status)
  applet:add_header("content-type", "text/plain")
  applet:add_header("content-length", string.len(text))
  applet:start_response()
  applet:send(text)
end

local function ask(applet, path)
  local connection = core.tcp()
  connection:settimeout(WITHIN_S)
  if not connection:connect("unix@" .. SOCKET) then
    return nil
  end
  local request = "GET " .. path .. " HTTP/1.0\r\nX-Fastlb-Client: " .. applet.f:src() .. "\r\n"
  local authorization = applet.headers["authorization"]
  if authorization then
    request = request .. "Authorization: " .. authorization[0] .. "\r\n"
  end
  connection:send(request .. "\r\n")
  local reply = connection:receive("*a")
  connection:close()
  return reply
end

local function forwards_to(path)
  return function(applet)
    local reply = ask(applet, path)
    local status = reply and string.match(reply, "^HTTP/1%.[01] (%d%d%d)")
    local _, head_end = string.find(reply or "", "\r\n\r\n", 1, true)
    if status and head_end then
      answer(applet, tonumber(status), string.sub(reply, head_end + 1))
    else
      answer(applet, 503, "fastlb does not answer at the moment; HAProxy goes on serving\n")
    end
  end
end

local PATHS = {
  getpids = "/_haproxy_getpids",
  getconfig = "/_haproxy_getconfig",
  getvhostmap = "/_haproxy_getvhostmap",
  getappmap = "/_haproxy_getappmap",
  signalmlbhup = "/_mlb_signal/hup",
  signalmlbusr1 = "/_mlb_signal/usr1",
}
for name, path in pairs(PATHS) do
  core.register_service(name, "http", forwards_to(path))
end
