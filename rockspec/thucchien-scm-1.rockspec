rockspec_format = "3.0"
package = "thucchien"
version = "scm-1"

source = {
   url = "git+https://github.com/thucchien/thucchien.git",
}

description = {
   summary = "Pictures from the AI Thực Chiến gateway, decoded while they arrive",
   detailed = [[
One call sends a prompt and gives the picture's bytes as a Lua string. The
transfer runs on libcurl and can be driven from a frame loop or an event loop;
the response's base64 is decoded as it comes in. With it comes a command and
an emulator of the gateway for tests without a key; the emulator also needs
the rocks cqueues, luaossl and lua-zlib.]],
   license = "MIT",
   labels = { "image", "ai", "http", "async" },
}

dependencies = {
   "lua >= 5.1, < 5.6",
   "lua-cjson >= 2.1",
   "argparse >= 0.7",
}

external_dependencies = {
   CURL = { header = "curl/curl.h", library = "curl" },
}

build = {
   type = "builtin",
   modules = {
      thucchien = {
         sources = {
            "csrc/address.c",
            "csrc/alloc.c",
            "csrc/base64.c",
            "csrc/base64_avx2.c",
            "csrc/base64_neon.c",
            "csrc/body.c",
            "csrc/buffer.c",
            "csrc/client.c",
            "csrc/clock.c",
            "csrc/data_url.c",
            "csrc/envelope.c",
            "csrc/failure.c",
            "csrc/framing.c",
            "csrc/image.c",
            "csrc/link.c",
            "csrc/loop.c",
            "csrc/lua_answer.c",
            "csrc/lua_body.c",
            "csrc/lua_call.c",
            "csrc/lua_client.c",
            "csrc/lua_conceal.c",
            "csrc/lua_failure.c",
            "csrc/lua_fields.c",
            "csrc/lua_host.c",
            "csrc/lua_image.c",
            "csrc/lua_json.c",
            "csrc/lua_models.c",
            "csrc/lua_params.c",
            "csrc/lua_refusal.c",
            "csrc/lua_request.c",
            "csrc/lua_response.c",
            "csrc/lua_room.c",
            "csrc/lua_routes.c",
            "csrc/number.c",
            "csrc/path.c",
            "csrc/problem.c",
            "csrc/proxy.c",
            "csrc/reader.c",
            "csrc/redact.c",
            "csrc/refusal.c",
            "csrc/request.c",
            "csrc/scan.c",
            "csrc/sigpipe.c",
            "csrc/thucchien.c",
            "csrc/trust.c",
            "csrc/wait.c",
            "csrc/writer.c",
         },
         defines = { "TC_MODULE" },
         libraries = { "curl" },
         incdirs = { "$(CURL_INCDIR)" },
         libdirs = { "$(CURL_LIBDIR)" },
      },
      ["thucchien.cli"] = "lua/thucchien/cli.lua",
      ["thucchien.cqueues"] = "lua/thucchien/cqueues.lua",
      ["thucchien.emulator"] = "lua/thucchien/emulator.lua",
      ["thucchien.emulator.account"] = "lua/thucchien/emulator/account.lua",
      ["thucchien.emulator.answers"] = "lua/thucchien/emulator/answers.lua",
      ["thucchien.emulator.authentication"] = "lua/thucchien/emulator/authentication.lua",
      ["thucchien.emulator.base64"] = "lua/thucchien/emulator/base64.lua",
      ["thucchien.emulator.body"] = "lua/thucchien/emulator/body.lua",
      ["thucchien.emulator.call"] = "lua/thucchien/emulator/call.lua",
      ["thucchien.emulator.candidates"] = "lua/thucchien/emulator/candidates.lua",
      ["thucchien.emulator.canvas"] = "lua/thucchien/emulator/canvas.lua",
      ["thucchien.emulator.characters"] = "lua/thucchien/emulator/characters.lua",
      ["thucchien.emulator.chat"] = "lua/thucchien/emulator/chat.lua",
      ["thucchien.emulator.completion"] = "lua/thucchien/emulator/completion.lua",
      ["thucchien.emulator.conversation"] = "lua/thucchien/emulator/conversation.lua",
      ["thucchien.emulator.damage"] = "lua/thucchien/emulator/damage.lua",
      ["thucchien.emulator.events"] = "lua/thucchien/emulator/events.lua",
      ["thucchien.emulator.failures"] = "lua/thucchien/emulator/failures.lua",
      ["thucchien.emulator.frames"] = "lua/thucchien/emulator/frames.lua",
      ["thucchien.emulator.gemini"] = "lua/thucchien/emulator/gemini.lua",
      ["thucchien.emulator.headers"] = "lua/thucchien/emulator/headers.lua",
      ["thucchien.emulator.http"] = "lua/thucchien/emulator/http.lua",
      ["thucchien.emulator.images"] = "lua/thucchien/emulator/images.lua",
      ["thucchien.emulator.landscape"] = "lua/thucchien/emulator/landscape.lua",
      ["thucchien.emulator.limits"] = "lua/thucchien/emulator/limits.lua",
      ["thucchien.emulator.misplaced"] = "lua/thucchien/emulator/misplaced.lua",
      ["thucchien.emulator.models"] = "lua/thucchien/emulator/models.lua",
      ["thucchien.emulator.noise"] = "lua/thucchien/emulator/noise.lua",
      ["thucchien.emulator.oddities"] = "lua/thucchien/emulator/oddities.lua",
      ["thucchien.emulator.pictures"] = "lua/thucchien/emulator/pictures.lua",
      ["thucchien.emulator.png"] = "lua/thucchien/emulator/png.lua",
      ["thucchien.emulator.props"] = "lua/thucchien/emulator/props.lua",
      ["thucchien.emulator.random"] = "lua/thucchien/emulator/random.lua",
      ["thucchien.emulator.recent"] = "lua/thucchien/emulator/recent.lua",
      ["thucchien.emulator.references"] = "lua/thucchien/emulator/references.lua",
      ["thucchien.emulator.refusals"] = "lua/thucchien/emulator/refusals.lua",
      ["thucchien.emulator.scene"] = "lua/thucchien/emulator/scene.lua",
      ["thucchien.emulator.shapes"] = "lua/thucchien/emulator/shapes.lua",
      ["thucchien.emulator.thumbnail"] = "lua/thucchien/emulator/thumbnail.lua",
      ["thucchien.emulator.urls"] = "lua/thucchien/emulator/urls.lua",
      ["thucchien.health"] = "lua/thucchien/health.lua",
      ["thucchien.meta"] = "lua/thucchien/meta.d.lua",
      ["thucchien.nvim"] = "lua/thucchien/nvim.lua",
      ["thucchien.uv"] = "lua/thucchien/uv.lua",
   },
   install = {
      bin = { "bin/thucchien" },
   },
}
