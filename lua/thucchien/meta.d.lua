---@meta thucchien
-- luacheck: ignore 212 241 631

--- Pictures from the AI Thực Chiến gateway. The module is the C library `thucchien`; this file only
--- tells lua-language-server what is in it.
---@class thucchien
---@field _VERSION string "thucchien 0.2.0"
---@field libcurl string libcurl and what it is built with: "libcurl/7.88.1 OpenSSL/3.0.17 …"
local thucchien = {}

---@alias thucchien.size "1024x1024"|"1536x1024"|"1024x1536"|string
---@alias thucchien.aspect_ratio "1:1"|"3:4"|"4:3"|"16:9"|"9:16"|"21:9"|"3:2"|"2:3"|"5:4"|"4:5"|string

--- What a failed request may do:
--- - "safe": retries only what was certainly not billed
--- - "all": also time-outs, resets and server errors, at the risk of paying twice
--- - "none": retries nothing
---@alias thucchien.retry "safe"|"all"|"none"

---@alias thucchien.kind
---| "invalid_request" # the params are wrong, by our own check or the gateway's
---| "authentication" # no key, or one that the gateway does not know
---| "permission_denied" # the key may not do this, or not with this model
---| "budget_exceeded" # the key's money is spent; waiting does not help
---| "content_policy" # the prompt, or every picture, was refused
---| "no_image" # a response without a picture, for another reason
---| "rate_limit" # too many requests; `retry_after` when known
---| "not_found" # the route is not there: look at `base_url`
---| "server_error" # the gateway or a proxy before it failed
---| "timeout" # no complete response in time
---| "connection" # no connection, or it broke
---| "tls" # the TLS handshake or the certificate check failed
---| "bad_response" # a response, or a picture in it, that is cut short or malformed
---| "response_too_large" # more than `max_response_bytes`, 64 pictures, 1 MiB of anything else, or 256 KiB of headers
---| "cancelled" # cancelled by the caller
---| "io" # a file could not be written, or a sink refused

--- An error. `tostring(err)` is one line, without the key.
---@class thucchien.error
---@operator concat(any): string
---@field kind thucchien.kind
---@field message string
---@field advice? string what to do about it
---@field status? integer HTTP status; the code of the error where a response of status 200 holds one
---@field code? string|integer the gateway's own code
---@field type? string the gateway's own type
---@field param? string the field that the gateway complains about
---@field request_id? string to quote when you ask for support
---@field retry_after? number seconds
---@field attempts? integer how many times the request was sent
---@field maybe_billed? boolean true if the request was sent and no certain refusal came back
---@field body? string the first 4 KiB of the response
---@field data? thucchien.image[] the pictures that were whole before it failed, and what arrived of the others
---@field url? string the address of a picture that could not be fetched; it is paid for

---@class thucchien.options
---@field api_key? string|fun(): string default: `$THUCCHIEN_API_KEY`
---@field base_url? string default: `$THUCCHIEN_BASE_URL`, or `https://api.thucchien.ai`
---@field allow_http? boolean allows plain http to hosts other than this machine
---@field model? string default for requests: `$THUCCHIEN_MODEL`, or `imagen-4`
---@field timeout? number seconds for one attempt, default 300
---@field connect_timeout? number seconds, default 15
---@field max_retries? integer default 2
---@field retry? thucchien.retry default "safe"
---@field max_concurrency? integer default 8; further requests wait
---@field requests_per_minute? integer so many start within any 60 s, at most
---@field max_response_bytes? integer default 256 MiB
---@field headers? table<string, string> extra request headers
---@field proxy? string default: the environment's, as curl reads it
---@field ca_file? string default: `$SSL_CERT_FILE` or `$CURL_CA_BUNDLE`
---@field http2? boolean default false
---@field user_agent? string default `thucchien/VERSION`

--- Takes the bytes of picture `index` as they are decoded, at most a few hundred KB at a time. A call without
--- a chunk means that the picture is whole. Returning nil (or false) and a message ends the request.
---@alias thucchien.sink fun(index: integer, chunk?: string): any, string?

--- A picture to draw from: its bytes, a file, or an image of a response.
---@alias thucchien.reference string|{ path: string }|thucchien.image

--- The way to a picture: `/images/generations`, `/chat/completions`, or Google's own route.
---@alias thucchien.via "images"|"chat"|"gemini"

---@class thucchien.params
---@field prompt? string UTF-8, not empty, sent as it is; required unless there are `messages`
---@field model? string
---@field via? thucchien.via default: chosen by the model's name
---@field n? integer how many pictures, default 1; several requests where a model makes fewer at once
---@field images? thucchien.reference[] pictures to draw from; they must be whole; for chat and gemini
---@field history? thucchien.response[] earlier responses, oldest first: their prompts and pictures go along
---@field messages? table[] for chat: the caller's own conversation, instead of prompt, images and history
---@field size? thucchien.size
---@field aspect_ratio? thucchien.aspect_ratio wins over `size`
---@field quality? string
---@field style? string
---@field background? string
---@field moderation? string
---@field response_format? string
---@field output_format? string
---@field output_compression? integer
---@field output_options? table
---@field input_fidelity? string
---@field user? string
---@field negative_prompt? string what not to draw
---@field seed? integer
---@field language? string
---@field guidance_scale? number
---@field add_watermark? boolean
---@field enhance_prompt? boolean
---@field person_generation? string
---@field safety_setting? string
---@field include_rai_reason? boolean
---@field sample_image_size? string
---@field drop_params? boolean the gateway drops what the model does not take
---@field num_retries? integer the gateway's own retries
---@field request_timeout? number seconds, the gateway's own limit
---@field cache? table
---@field metadata? table
---@field tags? table
---@field fallbacks? table
---@field mock_response? string
---@field on_image? fun(image: thucchien.image, index: integer) each picture as soon as it is whole
---@field on_progress? fun(received: integer, total?: integer) bytes of the response, at most every 50 ms, and at the end
---@field sink? thucchien.sink takes the pictures' bytes as they come; then images have no `bytes`
---@field save? string writes pictures to files as they come; then images have a `path` and no `bytes`
---@field if_exists? thucchien.if_exists with `save`
---@field fsync? boolean with `save`; false: does not wait until the disk has the file
---@field extra_body? table<string, any> merged into the body verbatim
---@field extra_headers? table<string, string> merged into the headers verbatim
---@field timeout? number instead of the client's
---@field max_retries? integer instead of the client's
---@field retry? thucchien.retry instead of the client's

--- What happens if a file of that name exists: it is replaced (the default), the picture's name gets the next
--- free number, or saving fails.
---@alias thucchien.if_exists "replace"|"number"|"error"

---@class thucchien.save_options
---@field if_exists? thucchien.if_exists
---@field fsync? boolean false: does not wait until the disk has the file

---@class thucchien.image
---@field bytes? string the decoded picture, unless `sink` or `save` took it
---@field size integer length of the picture in bytes
---@field path? string where `save` of the params put it, also after a failure
---@field mime? string read from the bytes: "image/png", "image/jpeg", "image/webp" or "image/gif"
---@field ext? string "png", "jpg", "webp" or "gif"
---@field width? integer pixels
---@field height? integer pixels
---@field revised_prompt? string the prompt as the model refined it
---@field url? string where it was fetched from
---@field complete? false in an error's `data`: the picture is not whole; `bytes` is what arrived, unless `sink` or `save` took it
local image = {}

--- Writes the picture. A path without an extension gets the true one. Readers of the path see the
--- whole picture or none.
---@param path string
---@param options? thucchien.save_options
---@return string? path where it is
---@return thucchien.error? err its `code` is "exists" where `if_exists = "error"` found a file
function image:save(path, options) end

---@class thucchien.timing seconds
---@field queued? number
---@field connected? number
---@field first_byte? number
---@field total? number

---@class thucchien.response
---@field created? integer Unix time
---@field data thucchien.image[] may hold fewer pictures than you asked for
---@field warnings string[] those of `request:warnings()`, then what visibly differs from what was asked for; often empty
---@field drafts? thucchien.image[] steps on the model's way to the pictures; not with `sink` or `save`
---@field errors? thucchien.error[] if some of several requests failed, or some pictures are not whole
---@field text? string what the model said beside the pictures
---@field finish_reason? string why the model stopped
---@field prompt? string what was asked
---@field model string
---@field usage? table
---@field request_id? string
---@field cost? number US dollars; nil if the gateway did not say
---@field attempts integer
---@field timing thucchien.timing

---@class thucchien.client
local client = {}

--- Asks for pictures and waits for them.
---@param params thucchien.params|string a string is the prompt
---@return thucchien.response? response
---@return thucchien.error? err
function client:generate(params) end

--- Puts a request into the queue and returns at once. Never calls a function itself.
---@param params thucchien.params|string a string is the prompt
---@param done? fun(response?: thucchien.response, err?: thucchien.error) called once, from `poll`; while it waits for another request, only that one is delivered
---@return thucchien.request? request
---@return thucchien.error? err
function client:submit(params, done) end

--- What the gateway knows about the key. Nearly every field may be absent.
---@class thucchien.key_info
---@field key_name? string "sk-...abcd"
---@field key_alias? string
---@field spend? number US dollars; lags behind
---@field max_budget? number US dollars; nil: the key has no budget of its own
---@field budget_duration? string
---@field budget_reset_at? string ISO 8601
---@field expires? string ISO 8601
---@field models? string[] empty: all
---@field rpm_limit? integer requests a minute
---@field tpm_limit? integer tokens a minute
---@field max_parallel_requests? integer
---@field blocked? boolean
---@field metadata? table `model_rpm_limit` and others

---@class thucchien.model
---@field id string
---@field object? string
---@field created? integer
---@field owned_by? string

---@class thucchien.call
---@field path string from the gateway's root on: "/key/info"
---@field method? "GET"|"POST"|"PUT"|"PATCH"|"DELETE" default: POST with a body, else GET
---@field body? table|string a table, or JSON
---@field field? string name of a table in the response: that is returned, not the whole
---@field extra_headers? table<string, string>
---@field timeout? number
---@field max_retries? integer
---@field retry? thucchien.retry

---@alias thucchien.key_info_done fun(info?: thucchien.key_info, err?: thucchien.error)
---@alias thucchien.models_done fun(models?: thucchien.model[], err?: thucchien.error)
---@alias thucchien.call_done fun(response?: table, err?: thucchien.error)

--- Spend, budget and limits of the key. With `done`, which `poll` calls once, it returns a request at once.
---@overload fun(self: thucchien.client, done: thucchien.key_info_done): thucchien.request?, thucchien.error?
---@return thucchien.key_info? info
---@return thucchien.error? err
function client:key_info() end

--- The models that the key may use. With `done`, which `poll` calls once, it returns a request at once.
---@overload fun(self: thucchien.client, done: thucchien.models_done): thucchien.request?, thucchien.error?
---@return thucchien.model[]? models
---@return thucchien.error? err
function client:models() end

--- Any JSON route of the gateway; a response without content (204) is an empty table. With `done`, which `poll` calls once, it returns a request at once.
---@overload fun(self: thucchien.client, request: thucchien.call, done: thucchien.call_done): thucchien.request?, thucchien.error?
---@param request thucchien.call
---@return table? response
---@return thucchien.error? err
function client:call(request) end

--- Drives all requests and calls their functions. If one of these raises an error, `poll` raises it when it has
--- called the others.
---@param seconds? number how long it may wait for a request to end; by default it does not wait
---@return integer active how many requests have not ended, or whose end is not delivered yet
function client:poll(seconds) end

--- Cancels what is in flight and closes the connections; `done` functions are called at the next `poll`. May be
--- called twice.
function client:close() end

---@class thucchien.driver
--- Watch this socket; nil: stop watching it. Without `watch` the timer fires every 10 ms while a request is in flight.
---@field watch? fun(socket: integer, events?: "r"|"w"|"rw")
--- Call `client:action()` after this time; nil: do not. May be left out if you call `poll` and only need a `waiter`.
---@field timer? fun(milliseconds?: integer)
--- For `await` in coroutines that only a scheduler may resume: returns a function that suspends the running
--- coroutine and one that wakes it; nil if `await` may simply yield.
---@field waiter? fun(): suspend: fun()?, wake: fun()?

--- Lets a host's own loop drive the client; nil ends that. If the old driver raises an error while its sockets and
--- timer are taken away, `set_driver` raises it when the new driver has taken over.
---@param driver? thucchien.driver
function client:set_driver(driver) end

--- For a driver's loop: call it when a socket is ready, or without arguments when the time is up. Calls functions
--- as `poll` does.
---@param socket? integer
---@param events? "r"|"w"|"rw"
---@return integer active how many requests have not ended, or whose end is not delivered yet
function client:action(socket, events) end

---@class thucchien.request
local request = {}

--- Drives the client until this request has ended.
---@param seconds? number after so many `err.kind` is "timeout", and the request goes on
---@return thucchien.response? response
---@return thucchien.error? err
function request:wait(seconds) end

--- Suspends the running coroutine until `poll`, or the driver's loop, has the response; outside a coroutine it is
--- `wait`. Warns once on standard error if a scheduler resumes it in a busy loop: see `thucchien.driver`'s `waiter`.
---@async
---@return thucchien.response? response
---@return thucchien.error? err
function request:await() end

--- Cancels the request; its `done` is called at the next `poll`.
---@return boolean cancelled false if it had ended already
function request:cancel() end

---@return "queued"|"sending"|"receiving"|"retrying"|"done"
function request:status() end

---@return integer received bytes of the response so far
---@return integer? total if the server says it
---@return number seconds since it was submitted
function request:progress() end

--- What will differ from what was asked for, as far as it is known before a response: the first of
--- `response.warnings`.
---@return string[] warnings often empty
function request:warnings() end

--- Asks for pictures and waits for them, with a client made from the environment at first use.
---@param params thucchien.params|string a string is the prompt
---@return thucchien.response? response
---@return thucchien.error? err
function thucchien.generate(params) end

--- Makes a client. Keep it: its requests share connections.
---@param options? thucchien.options
---@return thucchien.client? client
---@return thucchien.error? err
function thucchien.new(options) end

return thucchien
