# Berth's build: one page. A file registers itself by existing. `make help` tells the targets.
comma   := ,
CONFIG  ?= $(if $(SANITIZE),$(if $(filter address%,$(SANITIZE)),san,san-$(subst $(comma),-,$(SANITIZE))),release)$(if $(findstring clang,$(CC)),-clang)
ifneq ($(SANITIZE),)
# gcc's own flow warnings are unreliable in instrumented code: shown, not errors.
SANFLAGS := -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -DBERTH_VERIFY -Wno-error -Wno-unknown-warning-option -Wno-format-truncation $(if $(filter fuzz,$(CONFIG)),-fsanitize=fuzzer-no-link)
LDFLAGS += -fsanitize=$(SANITIZE)
endif
B       := build/$(CONFIG)
PKGS    := libuv openssl libnghttp2 libllhttp yyjson yaml-0.1 sqlite3 libnftnl libmnl zlib
# Loaded at first use, so not linked: src/image/image_lazy.c. The tests' own archives are written with the first.
LAZY    := libarchive libcurl
# What is missing is installed (as root) or named: only where something is built.
ifneq ($(filter-out help clean test demo lint,$(or $(MAKECMDGOALS),all)),)
ifneq ($(shell pkg-config --exists $(PKGS) $(LAZY) 2>&1 || echo no),)
$(info $(shell tools/deps build 2>&1))
$(if $(shell pkg-config --exists $(PKGS) $(LAZY) 2>&1 || echo no),$(error libraries are missing: see above))
endif
endif
CFLAGS  ?= $(if $(SANITIZE),-O1,-O2) -g
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith \
           -Wwrite-strings -Wformat=2 -Wundef -Wvla -Wimplicit-fallthrough -Wno-missing-field-initializers $(if $(WERROR),-Werror)
PKGC    := $(shell pkg-config --cflags $(PKGS) $(LAZY) 2>/dev/null | sed 's/-I/-isystem /g')
CPPFLAGS += -D_GNU_SOURCE -Isrc -I. -Itest -I$(B)/gen $(PKGC)
LDLIBS  += $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread -lm -ldl
# The tables are full of pointers; packed, their relocations take 10 KB instead of 300.
LDFLAGS += -pie -Wl,--as-needed -Wl,-z,relro -Wl,-z,now -Wl,-z,pack-relative-relocs
ALLC     = -std=gnu17 $(WARN) -fPIE -ffile-prefix-map=$(CURDIR)/= $(CFLAGS) $(SANFLAGS) $(CPPFLAGS) -MMD -MP
PREFIX  ?= /usr/local
Q        = $(if $(V),,@printf '  %-4s %s\n' $(1) $@;)

SRC     := $(filter-out src/main/main.c,$(wildcard src/*/*.c))
LIBOBJ  := $(SRC:%.c=$(B)/%.o) $(B)/gen/schema_tables.o $(B)/gen/shim_blob.o
SIMOBJ  := $(patsubst %.c,$(B)/%.o,$(filter-out sim/main.c,$(wildcard sim/*.c)))
KITOBJ  := $(patsubst %.c,$(B)/%.o,$(filter-out %/fuzz_replay.c,$(wildcard test/kit/*.c)))
TESTS   := $(patsubst %.c,$(B)/%,$(wildcard test/unit/*.c test/contract/*.c test/api/*.c test/sim/*.c test/node/*.c))
BENCHK  := $(patsubst %.c,$(B)/%.o,$(wildcard bench/kit/*.c) test/kit/https_kit.c test/kit/http2_kit.c)
BENCH   := $(patsubst %.c,$(B)/%,$(wildcard bench/*.c))
FUZZ    := $(patsubst test/fuzz/%_fuzz.c,$(B)/fuzz/%,$(wildcard test/fuzz/*_fuzz.c))

all: $(B)/berth ## the program (the default): build/release/berth
$(B)/berth: $(B)/src/main/main.o $(B)/libberth.a
$(B)/sim/sim: $(B)/sim/main.o $(SIMOBJ) $(B)/libberth.a
$(TESTS): %: %.o $(SIMOBJ) $(KITOBJ) $(B)/libberth.a
$(TESTS): LDLIBS += -larchive
$(BENCH): %: %.o $(BENCHK) $(SIMOBJ) $(B)/libberth.a
$(FUZZ): $(B)/fuzz/%: $(B)/test/fuzz/%_fuzz.o $(if $(filter fuzz,$(CONFIG)),,$(B)/test/kit/fuzz_replay.o) $(SIMOBJ) $(B)/libberth.a
$(FUZZ): LDFLAGS += $(if $(filter fuzz,$(CONFIG)),-fsanitize=fuzzer)
$(B)/berth $(B)/sim/sim $(TESTS) $(BENCH) $(FUZZ):
	@mkdir -p $(@D)
	$(call Q,LD)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(B)/libberth.a: $(LIBOBJ)
	@rm -f $@
	$(call Q,AR)ar rcs $@ $^
$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call Q,CC)$(CC) $(ALLC) -c -o $@ $<
# A thousand bytes of program that the program carries along: see the file.
$(B)/gen/shim: src/runtime/shim/shim.c
	@mkdir -p $(@D)
	$(call Q,CC)$(CC) -std=gnu17 $(WARN) -Os -ffreestanding -static -nostdlib -fno-pie -no-pie -Wno-unused-command-line-argument -fno-stack-protector \
		-fno-asynchronous-unwind-tables -Wl,--build-id=none,-z,noseparate-code,-z,noexecstack -s -o $@ $<
$(B)/gen/shim_blob.o: $(B)/gen/shim
	$(call Q,LD)cd $(@D) && $(LD) -r -b binary -z noexecstack -o $(@F) $(<F)
# The schema text becomes tables: the compiler runs on the build machine.
$(B)/schemac: $(wildcard src/schema/compiler/*.[ch]) src/base/span.c src/base/span.h src/schema/name_hash.h
	@mkdir -p $(@D)
	$(call Q,CC)$(CC) -std=gnu17 $(WARN) -O1 -g -D_GNU_SOURCE -Isrc -o $@ $(filter %.c,$^)
# The folder itself: a file that is gone leaves no other trace.
$(B)/gen/schema_tables.c: $(B)/schemac $(wildcard src/kinds/*.schema) src/kinds
	@mkdir -p $(@D)
	$(call Q,GEN)$(B)/schemac -o $@ $(filter %.schema,$^)
$(B)/gen/schema_tables.o: $(B)/gen/schema_tables.c
	$(call Q,CC)$(CC) $(ALLC) -c -o $@ $<

tests: $(TESTS)
fuzzers: $(FUZZ)
QUICK = $(filter $(B)/test/unit/% $(B)/test/contract/% $(B)/test/api/% $(B)/test/sim/%,$(TESTS))
SAN   = $(patsubst build/release/%,build/san/%,$(filter-out %/seeds_test,$(QUICK))) $(patsubst build/release/%,build/san/%,$(FUZZ))
KUBECTLS = $(CURDIR)/.cache/bin/kubectl-1.20:$(CURDIR)/.cache/bin/kubectl-1.32
E2E   = $(filter-out %/lib.sh,$(wildcard test/e2e/*.sh))
quick: $(QUICK) ## units, contracts, API, tidy: under a minute, before every commit
	KUBECTLS=$(KUBECTLS) test/kit/run-tests tools/tidy $(wildcard test/unit/*.sh) $(QUICK)
test: ## installs what it needs, then every tier; the last line is the sum
	tools/deps build run test lint
	$(MAKE) -j2 all tests
	$(MAKE) -j2 SANITIZE=address,undefined CONFIG=san $(SAN)
	test/kit/fetch .cache
	KIT_SLOW=1 LINT_JOBS=1 KUBECTLS=$(KUBECTLS) test/kit/run-tests -j2 tools/lint tools/tidy $(wildcard test/unit/*.sh) $(QUICK) $(SAN) $(filter $(B)/test/node/%,$(TESTS)) \
		$(E2E) "KUBECTL_VERSION=1.20 test/e2e/redis.sh" "KUBECTL_VERSION=1.20 test/e2e/postgres.sh" "KUBECTL_VERSION=1.20 test/e2e/tutorials.sh" \
		"HELM=3 test/e2e/helm.sh" "METRICS=victoria test/e2e/prometheus.sh"
t: $(B)/test/$(T) ## one test program: make t T=unit/arena_test [ARGS=name]
	$(B)/test/$(T) $(ARGS)
lint: ## clang-tidy and cppcheck; what they may not see is listed with its reason
	test/kit/run-tests tools/lint
fuzz: ## each fuzz target for FUZZ_S seconds (60) with clang's libFuzzer
	$(MAKE) -j2 CC=clang CONFIG=fuzz SANITIZE=address,undefined fuzzers
	tools/fuzz $(or $(FUZZ_S),60) $(patsubst $(B)/fuzz/%,build/fuzz/fuzz/%,$(FUZZ))
sim: $(if $(SEEDS),,$(B)/sim/sim) ## the whole platform on virtual time: make sim ARGS="--seed 1 -v" (--deeds: what it was), or SEEDS=1000, for which gcc compiles it by its own profile first
	$(if $(SEEDS),tools/tuned && build/tuned,$(B))/sim/sim $(or $(ARGS),--count $(or $(SEEDS),200))
bench: all $(BENCH) ## figures beside their budgets
	tools/tuned
	bench/run $(B)/berth $(BENCH)
demo: ## a throw-away server with the tutorial's set on this machine (as root)
	tools/demo
coverage: ## lines and branches that the unit tests reach in base/ and plan/
	$(MAKE) -j2 CONFIG=coverage CFLAGS="-O0 -g --coverage" LDFLAGS=--coverage tests
	tools/coverage build/coverage
install: all ## PREFIX=/usr/local, DESTDIR= ; the program, stripped, and its unit for systemd
	install -D -s -m 755 $(B)/berth $(DESTDIR)$(PREFIX)/bin/berth
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's,@BINDIR@,$(PREFIX)/bin,' packaging/berth.service.in >$(DESTDIR)$(PREFIX)/lib/systemd/system/berth.service
clean: ## removes build/; .cache/ (test images, kubectl) stays
	rm -rf build
help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18
	@echo '  variables: SANITIZE=address,undefined|thread  CC=clang  WERROR=1  CONFIG=name  V=1 (shows commands)'
.PHONY: all tests fuzzers quick test t lint fuzz sim bench demo coverage install clean help
.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
