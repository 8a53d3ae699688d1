-- Tables that keep what came last: a server that runs for weeks forgets the rest.

local recent = {}

---Remembers `value` under `key`, a string, and forgets the oldest key beyond `limit`.
---@generic T
---@param store table
---@param limit integer
---@param key string
---@param value T
---@return T value
function recent.set(store, limit, key, value)
    if store[key] == nil then
        store[#store + 1] = key
        if #store > limit then store[table.remove(store, 1)] = nil end
    end
    store[key] = value
    return value
end

return recent
