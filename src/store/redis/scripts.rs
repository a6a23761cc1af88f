//! What Redis does in one piece: Lua scripts, each done whole or not at all.
//!
//! A token that the store does not know any more although nobody gave it up (a server that came back without its data) is
//! no reason to fence: whoever shows the highest one is believed, and writes itself in again. What was given up on purpose is
//! remembered in `gone`, so that a process that slept through its own end does not rise.

/// `KEYS`: tokens, gone, prefix. `ARGV`: node, token (empty: not fenced), origin, then table key, field, `1` and value or `0` and
/// nothing, in fours. Answers 0, or the token that is there.
pub(super) const KEEP: &str = r"
local node, token = ARGV[1], tonumber(ARGV[2])
if token then
  local there = tonumber(redis.call('HGET', KEYS[1], node) or redis.call('HGET', KEYS[2], node) or 0)
  if there > token then return there end
end
for at = 4, #ARGV, 4 do
  if ARGV[at + 2] == '1' then
    redis.call('HSET', ARGV[at], ARGV[at + 1], ARGV[at + 3])
  else
    redis.call('HDEL', ARGV[at], ARGV[at + 1])
  end
  if ARGV[at] == KEYS[3] .. 'bindings' then
    redis.call('PUBLISH', KEYS[3] .. 'bindings', ARGV[3] .. ' ' .. ARGV[at + 1])
  end
end
return 0";

/// `KEYS`: tokens, gone, cards, listeners, beats, counter. `ARGV`: own card, number of held ones, those in threes (node, token,
/// listeners), then the watched ones. Answers (node, token, card, listeners, beat, whether refused) of all refused and seen.
pub(super) const RENEW: &str = r"
local answer = {}
local function show(node, refused)
  local token = redis.call('HGET', KEYS[1], node)
  if token or refused == '1' then
    table.insert(answer, {node, token or '', redis.call('HGET', KEYS[3], node) or '', redis.call('HGET', KEYS[4], node) or '',
      redis.call('HGET', KEYS[5], node) or '0', refused})
  end
end
local count = tonumber(ARGV[2])
for at = 3, 2 + 3 * count, 3 do
  local node, token = ARGV[at], tonumber(ARGV[at + 1])
  local there = tonumber(redis.call('HGET', KEYS[1], node) or 0)
  local gone = tonumber(redis.call('HGET', KEYS[2], node) or 0)
  if there > token or gone >= token then
    show(node, '1')
  else
    if there < token then
      redis.call('HSET', KEYS[1], node, ARGV[at + 1])
      redis.call('HSET', KEYS[3], node, ARGV[1])
      redis.call('HSET', KEYS[4], node, ARGV[at + 2])
      if tonumber(redis.call('GET', KEYS[6]) or 0) < token then redis.call('SET', KEYS[6], ARGV[at + 1]) end
    end
    redis.call('HINCRBY', KEYS[5], node, 1)
  end
end
for at = 3 + 3 * count, #ARGV do show(ARGV[at], '0') end
return answer";

/// `KEYS` as [`RENEW`]. Answers as it does, of all that there are.
pub(super) const LOOK: &str = r"
local answer, tokens = {}, redis.call('HGETALL', KEYS[1])
for at = 1, #tokens, 2 do
  local node = tokens[at]
  table.insert(answer, {node, tokens[at + 1], redis.call('HGET', KEYS[3], node) or '', redis.call('HGET', KEYS[4], node) or '',
    redis.call('HGET', KEYS[5], node) or '0', '0'})
end
return answer";

/// `KEYS` as [`RENEW`]. `ARGV`: node, the token that must stand there (empty: none), card, listeners. Answers the token that was
/// drawn and nothing, or 0 and what stands there.
pub(super) const CLAIM: &str = r"
local node = ARGV[1]
local there = redis.call('HGET', KEYS[1], node)
if (there or '') ~= ARGV[2] then
  return {0, there or '', redis.call('HGET', KEYS[3], node) or '', redis.call('HGET', KEYS[4], node) or ''}
end
local token = redis.call('INCR', KEYS[6])
redis.call('HSET', KEYS[1], node, token)
redis.call('HSET', KEYS[3], node, ARGV[3])
redis.call('HSET', KEYS[4], node, ARGV[4])
redis.call('HINCRBY', KEYS[5], node, 1)
return {token, '', '', ''}";

/// `KEYS` as [`RENEW`]. `ARGV`: node, token, `1` for empty.
pub(super) const RELEASE: &str = r"
local node = ARGV[1]
if redis.call('HGET', KEYS[1], node) ~= ARGV[2] then return 0 end
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[2], node, ARGV[2])
  redis.call('HDEL', KEYS[1], node)
  redis.call('HDEL', KEYS[3], node)
  redis.call('HDEL', KEYS[4], node)
  redis.call('HDEL', KEYS[5], node)
else
  redis.call('HSET', KEYS[3], node, '')
end
return 1";
