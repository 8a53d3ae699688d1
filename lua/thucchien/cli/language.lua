--- The words of the command, in English or Vietnamese.
--
-- As with gettext, the English text of a message is its key in the table; a message that the table
-- does not have stays English. Names of errors, fields and options, and the output of --json, are the
-- same in every language.

local language = {}

local VIETNAMESE = {
    -- what the module advises
    ["a longer timeout may help"] = "thử tăng timeout",
    ["allow more tokens (max_tokens in extra_body), or ask for less"] =
        "cho phép nhiều token hơn (max_tokens trong extra_body), hoặc yêu cầu ít hơn",
    ["another model or another key may do"] = "thử mô hình khác hoặc khóa khác",
    ["ask for fewer pictures"] = "hãy xin ít ảnh hơn",
    ["`thucchien models` lists the models of your key"] = "`thucchien models` liệt kê các mô hình mà khóa được dùng",
    ["change the params"] = "hãy sửa tham số",
    ["change the prompt"] = "hãy đổi câu mô tả",
    ["check the API key"] = "hãy kiểm tra khóa",
    ["check the API key: the gateway does not know it"] = "hãy kiểm tra khóa: cổng không biết khóa này",
    ["check the base URL"] = "hãy kiểm tra địa chỉ của cổng",
    ["check the base URL and the certificates that are trusted (ca_file)"] =
        "hãy kiểm tra địa chỉ của cổng và các chứng chỉ được tin cậy ($SSL_CERT_FILE)",
    ["check the base URL: is it an http address?"] = "hãy kiểm tra địa chỉ của cổng: có phải địa chỉ http không?",
    ["check the clock of this machine; else the server's certificate has to be renewed"] =
        "hãy kiểm tra đồng hồ của máy; nếu đồng hồ đúng thì máy chủ phải gia hạn chứng chỉ",
    ["check the network and the base URL"] = "hãy kiểm tra mạng và địa chỉ của cổng",
    ["check the network and the base URL, or raise connect_timeout"] = "hãy kiểm tra mạng và địa chỉ của cổng",
    ["check the proxy"] = "hãy kiểm tra proxy",
    ["check what stands before the gateway"] = "hãy xem có gì đứng trước cổng",
    ["if it is right all the same, name it in ca_file"] =
        "nếu vẫn tin máy chủ này, hãy chỉ ra chứng chỉ trong $SSL_CERT_FILE",
    ["if it is right all the same, name its authority's certificate in ca_file"] =
        "nếu vẫn tin máy chủ này, hãy chỉ ra chứng chỉ của nơi cấp trong $SSL_CERT_FILE",
    ["it may have been drawn, so trying again may cost twice"] =
        "ảnh có thể đã vẽ xong, gửi lại có thể mất tiền hai lần",
    ["nothing is lost: image.bytes has the picture"] = "ảnh không mất: vẫn còn trong image.bytes",
    ["put them into proxy, or check those that are there"] = "hãy ghi chúng vào --proxy, hoặc kiểm tra lại",
    ["raise it, or ask for fewer pictures"] = "hãy xin ít ảnh hơn",
    ["raise max_response_bytes, or ask for fewer pictures"] = "hãy xin ít ảnh hơn",
    ["send less"] = "hãy gửi ít hơn",
    ["tell those who run the gateway"] = "hãy báo cho đơn vị vận hành cổng",
    ["tell those who run the gateway; without its database it knows one key only"] =
        "hãy báo cho đơn vị vận hành cổng: thiếu cơ sở dữ liệu thì cổng chỉ biết một khóa",
    ["the gateway's own key for the service behind it is refused: tell those who run the gateway"] =
        "khóa của chính cổng bị dịch vụ phía sau từ chối: hãy báo cho đơn vị vận hành cổng",
    ["the picture was made, and may be had at err.url for a while"] =
        "ảnh đã vẽ xong, còn lấy được ở địa chỉ của nó trong một thời gian",
    ["the server has to be updated"] = "máy chủ cần được nâng cấp",
    ["this key may not use the route: ask those who run the gateway"] =
        "khóa này không được dùng đường dẫn đó: hãy hỏi đơn vị vận hành cổng",
    ["try again later"] = "hãy thử lại sau",
    ["try again later; if that does not help, ask whether the key may use this route"] =
        "hãy thử lại sau; nếu vẫn không được, hãy hỏi xem khóa có được dùng đường dẫn này không",
    ["try again, or with another model"] = "hãy thử lại, hoặc thử mô hình khác",
    ["try again; check what stands before the gateway, a proxy or a login page"] =
        "hãy thử lại; xem có proxy hay trang đăng nhập nào đứng trước cổng không",
    ["use another proxy, or none"] = "hãy dùng proxy khác, hoặc không dùng",
    ["wait, then try again"] = "hãy chờ rồi thử lại",
    ["waiting does not help, ask for more budget"] = "chờ không có ích, hãy xin thêm ngân sách",
    ["what came of it is in err.data; to try again may cost again"] = "gửi lại có thể mất tiền lần nữa",
    -- what it says of an error beside that
    ["may be billed"] = "có thể đã bị tính tiền",
    ["retry after"] = "thử lại sau",
    -- the command's own
    ["%d of %d pictures saved: %s"] = "đã lưu %d trong %d ảnh: %s",
    ["%s: already exists (--force overwrites it)"] = "%s: đã có sẵn (--force sẽ ghi đè)",
    ["%s: cannot be written"] = "%s: không ghi được",
    ["%s: is a directory"] = "%s: là một thư mục",
    ["%s: is a link to nothing"] = "%s: là liên kết không trỏ tới đâu",
    ["%s: is a pipe"] = "%s: là một pipe",
    ["%s: not a picture the module knows"] = "%s: không phải loại ảnh mà module biết",
    ["%s: the picture is a %s file, whatever its name says; without an extension in -o it gets the true one"] =
        "%s: ảnh thật ra là tệp %s; bỏ đuôi trong -o thì ảnh sẽ mang đuôi đúng",
    ["%s: there is no such directory"] = "%s: không có thư mục này",
    ["%s  not drawn: --dry-run"] = "%s  chưa vẽ: --dry-run",
    ["%s; saved as %s"] = "%s; đã lưu thành %s",
    ["%s; the picture is lost"] = "%s; ảnh đã mất",
    ["interrupted"] = "đã ngắt",
    ["receiving, %d s, %.1f MB "] = "đang nhận, %d giây, %.1f MB ",
    ["the picture's address is %s"] = "địa chỉ của ảnh là %s",
    ["the request may be billed"] = "yêu cầu có thể bị tính tiền",
    ["too many files of that name"] = "quá nhiều tệp trùng tên",
    ["type the prompt, end with Ctrl-D"] = "gõ câu mô tả, xong nhấn Ctrl-D",
    ["waiting for the gateway, %d s "] = "đang chờ cổng, %d giây ",
    ["what arrived of an incomplete picture is in %s"] = "phần nhận được của ảnh chưa trọn nằm trong %s",
    -- what `key` shows
    ["key"] = "khóa", ["alias"] = "tên", ["spend"] = "đã tiêu", ["budget"] = "ngân sách", ["expires"] = "hết hạn",
    ["blocked"] = "bị khóa", ["limits"] = "giới hạn", ["models"] = "mô hình",
    ["none of its own"] = "không có riêng", ["never"] = "không bao giờ", ["yes"] = "có", ["all"] = "tất cả",
    ["%s, %s left"] = "%s, còn %s",
    ["%s, resets at %s"] = "%s, tính lại vào %s",
    ["%s requests a minute"] = "%s yêu cầu mỗi phút",
    ["%s requests at once"] = "%s yêu cầu cùng lúc",
    ["%s tokens a minute"] = "%s token mỗi phút",
    ["%s requests a minute to %s"] = "%s yêu cầu mỗi phút tới %s",
}

--- The language that the locale's variables name, as C programs read them: "vi", or "en" for all others.
function language.of_locale()
    for _, name in ipairs({ "LC_ALL", "LC_MESSAGES", "LANG" }) do
        local value = os.getenv(name)
        if value and value ~= "" then
            return value:find("^vi%f[^%a]") and "vi" or "en"
        end
    end
    return "en"
end

local words = {}

--- Says everything in "en" or "vi" from now on.
function language.set(name)
    words = name == "vi" and VIETNAMESE or {}
end

--- A message in the language; more arguments fill its place holders.
function language.say(text, ...)
    text = words[text] or text
    return select("#", ...) > 0 and text:format(...) or text
end

--- An error as one line. Its advice and what it says of billing and waiting are in the language, the rest is
--- English.
function language.say_error(err)
    local line = tostring(err)
    local advice = type(err) == "table" and err.advice
    if advice and words[advice] and line:sub(-#advice) == advice then
        line = line:sub(1, -#advice - 1) .. words[advice]
    end
    return (line:gsub("(%(HTTP status [^()]*%))", function(facts)
        facts = facts:gsub("may be billed", language.say("may be billed"))
        return (facts:gsub("retry after", language.say("retry after")))
    end):gsub("%(may be billed%)", "(" .. language.say("may be billed") .. ")"))
end

return language
