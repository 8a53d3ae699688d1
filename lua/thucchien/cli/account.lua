--- What the key may spend and which models it may use, as text.

local language = require "thucchien.cli.language"
local output = require "thucchien.cli.output"

local account = {}

local say = language.say

local function dollars(amount)
    return ("$%.4f"):format(amount)
end

--- A date for a reader: "2026-11-24 04:53 UTC" for "2026-11-24T04:53:34.000000+00:00".
local function readable_date(text)
    local day, minute, zone = text:match("^(%d+%-%d+%-%d+)T(%d+:%d+)[%d:.]*(.*)$")
    if not day then
        return text
    end
    return ("%s %s %s"):format(day, minute, (zone == "+00:00" or zone == "Z") and "UTC" or zone)
end

--- The numbers of a table by name, sorted: { { "imagen-4", 20 }, ... }.
local function sorted_pairs(numbers)
    local list = {}
    for name, number in pairs(numbers or {}) do
        list[#list + 1] = { name, number }
    end
    table.sort(list, function(a, b)
        return a[1] < b[1]
    end)
    return list
end

local function describe_budget(info)
    if not info.max_budget then
        return say("none of its own")
    end
    local text = say("%s, %s left", dollars(info.max_budget),
        dollars(math.max(info.max_budget - (info.spend or 0), 0)))
    return info.budget_reset_at and say("%s, resets at %s", text, readable_date(info.budget_reset_at)) or text
end

local function describe_limits(info)
    local limits = {}
    local function add(number, what, model)
        if number then
            limits[#limits + 1] = say(what, tostring(number), model)
        end
    end
    add(info.rpm_limit, "%s requests a minute")
    add(info.max_parallel_requests, "%s requests at once")
    add(info.tpm_limit, "%s tokens a minute")
    for _, limit in ipairs(sorted_pairs(info.metadata and info.metadata.model_rpm_limit)) do
        add(limit[2], "%s requests a minute to %s", limit[1])
    end
    return limits
end

--- What /key/info tells, as lines for a reader. Nearly every field of it may be absent.
function account.describe_key(info)
    local lines = {}
    local function add(label, text)
        if text then
            label = say(label)
            local _, width = label:gsub("[^\128-\191]", "") -- characters, not bytes
            lines[#lines + 1] = label .. (" "):rep(10 - width) .. output.harmless(text)
        end
    end
    add("key", info.key_name)
    add("alias", info.key_alias)
    add("spend", info.spend and dollars(info.spend))
    add("budget", describe_budget(info))
    add("expires", info.expires and readable_date(info.expires) or say("never"))
    add("blocked", info.blocked and say("yes"))
    for index, limit in ipairs(describe_limits(info)) do
        add(index == 1 and "limits" or "", limit)
    end
    add("models", info.models and info.models[1] and table.concat(info.models, ", ") or say("all"))
    return table.concat(lines, "\n")
end

function account.describe_models(list)
    local names = {}
    for index, model in ipairs(list) do
        names[index] = output.harmless(tostring(model.id))
    end
    return table.concat(names, "\n")
end

return account
