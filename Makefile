# Berth's build: one page. A file registers itself by existing. `make help` tells the targets.
ifneq ($(SANITIZE),)
CONFIG  := san
SANFLAGS := -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -DBERTH_VERIFY
LDFLAGS += -fsanitize=$(SANITIZE)
endif
CONFIG  ?= release
B       := build/$(CONFIG)
PKGS    := libuv openssl libllhttp yyjson yaml-0.1 sqlite3 libarchive libcurl libnl-route-3.0 libnftnl libmnl zlib
CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith \
           -Wwrite-strings -Wformat=2 -Wundef -Wvla -Wimplicit-fallthrough -Wno-missing-field-initializers $(if $(WERROR),-Werror)
PKGC    := $(shell pkg-config --cflags $(PKGS) 2>/dev/null | sed 's/-I/-isystem /g')
CPPFLAGS += -D_GNU_SOURCE -Isrc -I. -Itest -I$(B)/gen $(PKGC)
LDLIBS  += $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lpthread -lm
ALLC     = -std=gnu17 $(WARN) $(CFLAGS) $(SANFLAGS) $(CPPFLAGS) -MMD -MP

SRC     := $(filter-out src/main/main.c,$(wildcard src/*/*.c))
LIBOBJ  := $(SRC:%.c=$(B)/%.o) $(if $(wildcard src/schema/*.schema),$(B)/gen/schema_tables.o)
SIMOBJ  := $(patsubst %.c,$(B)/%.o,$(filter-out sim/main.c,$(wildcard sim/*.c)))
KITOBJ  := $(patsubst %.c,$(B)/%.o,$(wildcard test/kit/*.c))
TESTSRC := $(wildcard test/unit/*.c test/contract/*.c test/api/*.c test/sim/*.c test/node/*.c)
TESTS   := $(TESTSRC:%.c=$(B)/%)
BENCH   := $(patsubst %.c,$(B)/%,$(wildcard bench/*.c))

all: $(B)/berth
$(B)/berth: $(B)/src/main/main.o $(B)/libberth.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(B)/libberth.a: $(LIBOBJ)
	@rm -f $@
	ar rcs $@ $^
$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALLC) -c -o $@ $<
# The schema text becomes tables: the compiler runs on the build machine.
$(B)/schemac: $(wildcard src/schema/compiler/*.c) src/base/span.c
	@mkdir -p $(@D)
	$(CC) -std=gnu17 $(WARN) -O1 -g -D_GNU_SOURCE -Isrc -o $@ $^
$(B)/gen/schema_tables.c: $(B)/schemac $(wildcard src/schema/*.schema)
	@mkdir -p $(@D)
	$(B)/schemac -o $@ $(filter %.schema,$^)
$(B)/gen/schema_tables.o: $(B)/gen/schema_tables.c
	$(CC) $(ALLC) -c -o $@ $<
$(B)/test/%: $(B)/test/%.o $(SIMOBJ) $(KITOBJ) $(B)/libberth.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(B)/bench/%: $(B)/bench/%.o $(SIMOBJ) $(B)/libberth.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

tests: $(TESTS)
QUICK = $(filter $(B)/test/unit/% $(B)/test/contract/% $(B)/test/api/% $(B)/test/sim/%,$(TESTS))
quick: $(QUICK)
	test/kit/run-tests $(QUICK)
# One test program: make t T=unit/arena_test
t: $(B)/test/$(T)
	$(B)/test/$(T) $(ARGS)
clean:
	rm -rf build
.PHONY: all tests quick t clean
.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
