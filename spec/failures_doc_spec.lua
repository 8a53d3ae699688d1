-- doc/failures.md is what becomes of failures now. Where libcurl or its TLS library is of another release than the
-- page's, their words may differ, so the last column is not compared.

local thucchien = require "thucchien"
local failures_doc = require "spec.failures_doc"
local command = require "spec.support.command"

-- "libcurl/7.88 OpenSSL/3.0" of "libcurl/7.88.1 OpenSSL/3.0.19 …"
local function releases(text)
    local curl, tls = text:match "(libcurl/%d+%.%d+)%S* (%S+/%d+%.%d+)"
    return tostring(curl) .. " " .. tostring(tls)
end

-- Without the columns that may differ, and without what differs between patch releases.
local function comparable(page, with_lines)
    page = page:gsub("libcurl/[^\n]*", ""):gsub("OpenSSL/[%d.]+", "OpenSSL")
    if not with_lines then
        page = page:gsub("(\n" .. ("| [^|\n]* "):rep(4) .. "|)[^\n]*", "%1")
    end
    return page
end

describe("doc/failures.md", function()
    local problem = failures_doc.missing()
    if problem then
        pending("needs more here: " .. problem)
        return
    end

    it("is what happens", function()
        local committed, result = command.read "doc/failures.md", failures_doc.collect()
        local with_lines = releases(committed) == releases(thucchien.libcurl)
        local now = comparable(failures_doc.page(result), with_lines)
        committed = comparable(committed, with_lines)
        local lines = committed:gmatch "([^\n]*)\n"
        for line in now:gmatch "([^\n]*)\n" do
            assert.equal(lines(), line, "make failures writes the page anew")
        end
        assert.equal(#committed, #now)
    end)

    it("shows no key, and no line that is cut off", function()
        for line in command.read("doc/failures.md"):gmatch "[^\n]+" do
            assert.is_nil(line:find("0123456789abcdef", 1, true))
            assert.is_nil(line:find("hunter2", 1, true))
            assert.is_nil(line:find("nothing came of it", 1, true))
            assert.is_nil(line:find("but the server saw", 1, true))
        end
    end)
end)
