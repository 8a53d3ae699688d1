---Has the next collection call `finalizer`, on every Lua.
---@param finalizer function
return function(finalizer)
    if newproxy then -- luacheck: globals newproxy
        getmetatable(newproxy(true)).__gc = finalizer
    else
        setmetatable({}, { __gc = finalizer })
    end
end
