--- The name of a picture's file, made from its prompt.

local LENGTH = 40 -- in letters

-- One line for each ASCII letter: the composed letters that become it. Of decomposed letters only the marks are
-- dropped, below.
local FOLDED = {
    a = "àáảãạăằắẳẵặâầấẩẫậäåāÀÁẢÃẠĂẰẮẲẴẶÂẦẤẨẪẬÄÅĀ",
    c = "çćčÇĆČ",
    d = "đðĐÐ",
    e = "èéẻẽẹêềếểễệëēÈÉẺẼẸÊỀẾỂỄỆËĒ",
    i = "ìíỉĩịîïīÌÍỈĨỊÎÏĪ",
    n = "ñńÑŃ",
    o = "òóỏõọôồốổỗộơờớởỡợöøōÒÓỎÕỌÔỒỐỔỖỘƠỜỚỞỠỢÖØŌ",
    s = "śšŚŠ",
    u = "ùúủũụưừứửữựûüūÙÚỦŨỤƯỪỨỬỮỰÛÜŪ",
    y = "ỳýỷỹỵÿỲÝỶỸỴ",
    z = "źżžŹŻŽ",
}

local MULTIBYTE = "[\194-\244][\128-\191]*"

local function ascii_letters()
    local letters = {}
    for ascii, group in pairs(FOLDED) do
        for letter in group:gmatch(MULTIBYTE) do
            letters[letter] = ascii
        end
    end
    return letters
end

-- Code points above ASCII that do not go into a name: signs, punctuation, controls of the writing
-- direction, symbols, private use, emoji. The ranges are rough. All others count as letters.
local NO_LETTERS = {
    { 0x80, 0xBF }, { 0xD7, 0xD7 }, { 0xF7, 0xF7 }, { 0x600, 0x61F }, { 0x2000, 0x2BFF },
    { 0x2E00, 0x2E7F }, { 0x3000, 0x3004 }, { 0x3008, 0x3020 }, { 0x30FB, 0x30FB },
    { 0xD800, 0xF8FF }, { 0xFE00, 0xFE6F }, { 0xFEFF, 0xFF0F }, { 0xFF1A, 0xFF20 },
    { 0xFF3B, 0xFF40 }, { 0xFF5B, 0xFF65 }, { 0xFFE0, 0xFFFF }, { 0x1F000, 0x1FAFF },
    { 0xE0000, 0x1FFFFF },
}

--- The code point of a UTF-8 sequence.
local function code_point(letter)
    local first = letter:byte()
    local value = first % (first >= 240 and 8 or first >= 224 and 16 or 32)
    for position = 2, #letter do
        value = value * 64 + letter:byte(position) % 64
    end
    return value
end

local function is_letter(sequence)
    local code = code_point(sequence)
    for _, range in ipairs(NO_LETTERS) do
        if code >= range[1] and code <= range[2] then
            return false
        end
    end
    return true
end

--- The first `count` letters of a UTF-8 text.
local function first_letters(text, count)
    for start in text:gmatch("()[^\128-\191]") do
        if count == 0 then
            return text:sub(1, start - 1)
        end
        count = count - 1
    end
    return text
end

--- A name for a prompt: small ASCII letters, digits, hyphens, and the letters of other scripts.
---@param prompt string UTF-8
---@return string name without an extension; "picture" where the prompt has no letter
return function(prompt)
    local letters = ascii_letters()
    local text = prompt:gsub("\204[\128-\191]", ""):gsub("\205[\128-\175]", "") -- U+0300 to U+036F
    text = text:gsub(MULTIBYTE, function(sequence)
        return letters[sequence] or (is_letter(sequence) and sequence or "-")
    end)
    text = text:lower():gsub("[^a-z0-9\128-\255]+", "-"):gsub("^%-", "")
    local head = first_letters(text, LENGTH + 1)
    if head ~= first_letters(text, LENGTH) then
        -- Cut between words, unless the first word is longer than the whole name may be.
        text = head:match("^(.*)%-") or first_letters(text, LENGTH)
    end
    text = text:gsub("%-$", "")
    return text ~= "" and text or "picture"
end
