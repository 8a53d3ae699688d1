-- The longest poll(0), in CPU time, while hostile answers arrive: hostile.lua [ROUNDS]
--
-- Prints a line an answer: its name, and milliseconds (the median over the rounds of each round's longest poll). The
-- answers come from the specs' mirror, on loopback, in one piece each, so that a poll gets as much as it takes.

local mirrors = require "spec.support.mirror"
local thucchien = require "thucchien"

local ROUNDS = tonumber(arg[1]) or 3
local SIZE = 4 * 1024 * 1024
local PNG = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAIAAAA2iEnWAAAAAElEQVQ1rwYeAAAAAElFTkSuQmCC"
local PICTURE = '{"b64_json":"' .. PNG .. '"}'

-- Text in front, text that is repeated until the answer has SIZE bytes, text behind.
local answers = {
    { "a picture of 3 MB", '{"data":[{"b64_json":"', "QUJD", '"}]}' },
    { "spaces in base64", '{"data":[{"b64_json":"', "Q U J D ", '"}]}' },
    { "line ends in base64", '{"data":[{"b64_json":"', "Q\\nU\\n", '"}]}' },
    { "percent escapes in base64", '{"data":[{"b64_json":"', "%41", '"}]}' },
    { "hex escapes in base64", '{"data":[{"b64_json":"', "\\u0041", '"}]}' },
    { "floods of data:", '{"choices":[{"message":{"content":"', "data:", '"}}]}' },
    { "heads of data URLs", '{"choices":[{"message":{"content":"', "data:;base64,. ", '"}}]}' },
    { "colons", '{"choices":[{"message":{"content":"', ":", '"}}]}' },
    { "escapes in prose", '{"choices":[{"message":{"content":"', "\\n", '"}}]}' },
    { "empty lists beside a picture", '{"data":[' .. PICTURE .. '],"x":[', "[],", "1]}" },
    { "objects beside a picture", '{"data":[' .. PICTURE .. '],"x":[', '{"a":{}},', "1]}" },
    { "keys beside a picture", '{"data":[' .. PICTURE .. '],"x":{', '"a":1,', '"b":2}}' },
    { "numbers beside a picture", '{"data":[' .. PICTURE .. '],"x":[', "1,", "1]}" },
    { "strings beside a picture", '{"data":[' .. PICTURE .. '],"x":[', '"abcdefgh",', "1]}" },
    { "long strings beside a picture", '{"data":[' .. PICTURE .. '],"x":["', "abcdefgh", '"]}' },
    { "items without a picture", '{"data":[' .. PICTURE .. ",", "{},", "{}]}" },
    { "words in a picture's item", '{"data":[{"b64_json":"' .. PNG .. '",', '"a":"b",', '"c":1}]}' },
    { "an error's words", '{"error":{"message":"', "\\u00e9", '"}}' },
    { "events", "", 'data: {"x":1}\n\n', "data: [DONE]\n\n" },
    { "lines without data", "", "id:\n", "data: {}\n\n" },
    { "blanks", "", " ", "{}" },
}

local function median(list)
    table.sort(list)
    return list[math.floor((#list + 1) / 2)]
end

local mirror = mirrors.start()
local client = assert(thucchien.new { base_url = mirror.url, api_key = "sk-bench", retry = "none" })

-- The longest poll of one request, in milliseconds.
local function longest(answer, prompt)
    local done, most = false, 0
    assert(client:submit({ prompt = prompt, extra_body = { mirror = answer } }, function() done = true end))
    while not done do
        local before = os.clock()
        client:poll(0)
        local after = os.clock()
        most = math.max(most, (after - before) * 1000)
    end
    return most
end

for _, row in ipairs(answers) do
    local rounds = {}
    for round = 1, ROUNDS do
        local times = math.floor((SIZE - #row[2] - #row[4]) / #row[3])
        rounds[round] = longest({ body = row[2] .. row[3]:rep(times) .. row[4] }, "x")
    end
    print(("%.3f %s"):format(median(rounds), row[1]))
end

-- Requests that all begin at once.
for _, count in ipairs { 1000, 5000 } do
    local most = 0
    local many = assert(thucchien.new {
        base_url = mirror.url, api_key = "sk-bench", retry = "none", max_concurrency = count,
    })
    for _ = 1, count do
        assert(many:submit { prompt = "x", extra_body = { mirror = { body = "{}" } } })
    end
    for _ = 1, 200 do
        local before = os.clock()
        many:poll(0)
        most = math.max(most, (os.clock() - before) * 1000)
    end
    many:close()
    print(("%.3f %d requests that begin at once"):format(most, count))
end
mirror:stop()
