//! What Redis does in one piece: Lua scripts, each done whole or not at all.
//!
//! A claim is compared before anything is changed; whoever shows another token changes nothing.

/// `KEYS`: tokens, prefix. `ARGV`: node, token (empty: not fenced), origin, then table key, field, `1` and value or `0` and
/// nothing, in fours. Answers
/// `ok`, or the token that stands there (empty: none).
pub(super) const KEEP: &str = r"
if ARGV[2] ~= '' then
  local there = redis.call('HGET', KEYS[1], ARGV[1]) or ''
  if there ~= ARGV[2] then return there end
end
for at = 4, #ARGV, 4 do
  if ARGV[at + 2] == '1' then
    redis.call('HSET', ARGV[at], ARGV[at + 1], ARGV[at + 3])
  else
    redis.call('HDEL', ARGV[at], ARGV[at + 1])
  end
  if ARGV[at] == KEYS[2] .. 'bindings' then
    redis.call('PUBLISH', KEYS[2] .. 'bindings', ARGV[3] .. ' ' .. ARGV[at + 1])
  end
end
return 'ok'";

/// `KEYS`: tokens, cards, listeners, beats, counter. `ARGV`: number of held ones, those in pairs (node, token), then the
/// watched ones. Answers (node, token, card, listeners, beat, whether refused) of all refused and seen; no token: nothing stands
/// there.
pub(super) const RENEW: &str = r"
local answer = {}
local function show(node, refused)
  local token = redis.call('HGET', KEYS[1], node)
  if token or refused == '1' then
    table.insert(answer, {node, token or '', redis.call('HGET', KEYS[2], node) or '', redis.call('HGET', KEYS[3], node) or '',
      redis.call('HGET', KEYS[4], node) or '0', refused})
  end
end
local count = tonumber(ARGV[1])
for at = 2, 1 + 2 * count, 2 do
  if redis.call('HGET', KEYS[1], ARGV[at]) == ARGV[at + 1] then
    redis.call('HINCRBY', KEYS[4], ARGV[at], 1)
  else
    show(ARGV[at], '1')
  end
end
for at = 2 + 2 * count, #ARGV do show(ARGV[at], '0') end
return answer";

/// `KEYS` as [`RENEW`]. Answers as it does, of all that there are.
pub(super) const LOOK: &str = r"
local answer, tokens = {}, redis.call('HGETALL', KEYS[1])
for at = 1, #tokens, 2 do
  local node = tokens[at]
  table.insert(answer, {node, tokens[at + 1], redis.call('HGET', KEYS[2], node) or '', redis.call('HGET', KEYS[3], node) or '',
    redis.call('HGET', KEYS[4], node) or '0', '0'})
end
return answer";

/// `KEYS` as [`RENEW`]. `ARGV`: node, the token that must stand there (empty: none), card, listeners, the highest token that is
/// known. Answers the token that was drawn and nothing, or 0 and what stands there.
pub(super) const CLAIM: &str = r"
local node = ARGV[1]
local there = redis.call('HGET', KEYS[1], node)
if (there or '') ~= ARGV[2] then
  return {0, there or '', redis.call('HGET', KEYS[2], node) or '', redis.call('HGET', KEYS[3], node) or ''}
end
local token = math.max(tonumber(redis.call('GET', KEYS[5]) or 0), tonumber(ARGV[5])) + 1
redis.call('SET', KEYS[5], string.format('%.0f', token))
redis.call('HSET', KEYS[1], node, string.format('%.0f', token))
redis.call('HSET', KEYS[2], node, ARGV[3])
redis.call('HSET', KEYS[3], node, ARGV[4])
redis.call('HINCRBY', KEYS[4], node, 1)
return {token, '', '', ''}";

/// `KEYS` as [`RENEW`]. `ARGV`: node, token, `1` for empty.
pub(super) const RELEASE: &str = r"
local node = ARGV[1]
if redis.call('HGET', KEYS[1], node) ~= ARGV[2] then return 0 end
if ARGV[3] == '1' then
  for at = 1, 4 do redis.call('HDEL', KEYS[at], node) end
else
  redis.call('HSET', KEYS[2], node, '')
end
return 1";
