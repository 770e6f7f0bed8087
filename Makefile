# SPDX-License-Identifier: ISC
# Sallyport. GNU make; `make help` lists the targets.
#
# What a program links is declared in its main file, and nowhere else:
#     /* needs: proxy/imap/command.c proxy/base/ */   a slash: all .c in it
#     /* libs: boringssl uv */
# so the link line proves the layering. Programs are found by wildcard.

VERSION := 0.1.0
BUILD ?= build
PYTHON ?= /usr/bin/python3
SCALE ?= 1
FUZZ_SECONDS ?= 60
# End-to-end tests wait more than they compute.
E2E_JOBS ?= 3
JOBS ?= $(shell nproc)
# Empty: Debian's android-libboringssl-dev. Else the prefix of another one.
BORINGSSL ?=
# address, undefined, thread, fuzzer, coverage; empty: the release.
SANITIZE ?=
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
SBINDIR = $(PREFIX)/sbin
LIBEXECDIR = $(PREFIX)/libexec/sallyport
CONFDIR = $(SYSCONFDIR)/sallyport
MANDIR = $(PREFIX)/share/man
UNITDIR ?= $(PREFIX)/lib/systemd/system
BASHDIR = $(PREFIX)/share/bash-completion/completions
ifneq ($(filter default undefined,$(origin CC)),)
CC := gcc
endif

MAKEFLAGS += -r -R --no-print-directory
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(JOBS)
endif
Q := $(if $(V),,@)
export SCALE PYTHON BUILD SANITIZE
export SALLYPORT_BUILD = $(abspath $(BUILD))
export PYTHONDONTWRITEBYTECODE = 1

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

# --- flags ------------------------------------------------------------------

warnings := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla -Wformat=2 -Wimplicit-fallthrough -Wconversion
hardening := -fstack-protector-strong -fPIE
hardening_link := -pie -Wl,-z,relro,-z,now
optimise := -O2 -D_FORTIFY_SOURCE=2
# A sanitizer sees more without the checks of the C library.
sanitize_address := -fsanitize=address -fno-omit-frame-pointer
sanitize_undefined := -fsanitize=undefined -fno-sanitize-recover=all
# gcc's doesn't follow fences, and says so.
sanitize_thread := -fsanitize=thread \
	$(if $(findstring clang,$(CC)),,-Wno-tsan)
sanitize_fuzzer := -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=all
sanitize_coverage := --coverage
sanitize := $(if $(SANITIZE),$(or $(sanitize_$(SANITIZE)),\
	$(error SANITIZE=$(SANITIZE) is not known)))
ifneq ($(SANITIZE),)
optimise := $(if $(filter coverage,$(SANITIZE)),-O0,-O1)
endif

# pkg-config answers once; nothing is asked for `make help` before the
# packages are there.
pkg = $(shell pkg-config $(1) $(2) 2>/dev/null)
pkg_cflags := $(call pkg,--cflags,libuv) $(call pkg,--cflags,libcares) \
	$(call pkg,--cflags,inih)
lib_uv := $(call pkg,--libs,libuv)
lib_cares := $(call pkg,--libs,libcares)
lib_inih := $(call pkg,--libs,inih)
lib_microhttpd := $(or $(call pkg,--libs,libmicrohttpd),-lmicrohttpd)
lib_cmocka := $(or $(call pkg,--libs,cmocka),-lcmocka)
lib_pthread := -lpthread
lib_m := -lm

ifeq ($(BORINGSSL),)
multiarch := $(shell $(CC) -print-multiarch 2>/dev/null)
boring_lib := $(firstword $(wildcard /usr/lib/$(multiarch)/android) \
	$(wildcard /usr/lib/*-linux-gnu*/android))
boring_include := /usr/include/android
else
boring_lib := $(patsubst %/,%,$(dir $(firstword $(wildcard \
	$(foreach end,so a,$(BORINGSSL)/lib/libssl.$(end) \
	$(BORINGSSL)/lib64/libssl.$(end))))))
boring_include := $(BORINGSSL)/include
ifeq ($(boring_lib),)
$(error no libssl.so or libssl.a in $(BORINGSSL)/lib or $(BORINGSSL)/lib64)
endif
endif
ifneq ($(wildcard $(boring_lib)/libssl.so),)
lib_boringssl := -L$(boring_lib) -Wl,-rpath,$(boring_lib) -lssl -lcrypto
lib_boringcrypto := -L$(boring_lib) -Wl,-rpath,$(boring_lib) -lcrypto
else
lib_boringssl := $(boring_lib)/libssl.a $(boring_lib)/libcrypto.a \
	-lstdc++ -lpthread
lib_boringcrypto := $(boring_lib)/libcrypto.a -lstdc++ -lpthread
endif

# What every reader of the sources needs.
language = -std=c11 -D_GNU_SOURCE \
	-I. -isystem $(boring_include) $(pkg_cflags) \
	-DSALLYPORT_VERSION='"$(VERSION)"' \
	-DSALLYPORT_LIBEXEC='"$(LIBEXECDIR)"' \
	-DSALLYPORT_CONFIG='"$(CONFDIR)/sallyport.conf"'
cflags = $(language) -g $(optimise) $(warnings) $(hardening) \
	-fno-common -fno-strict-overflow -ffile-prefix-map=$(CURDIR)/= $(sanitize) \
	$(CFLAGS)
ldflags = $(hardening_link) -Wl,--as-needed $(sanitize) $(LDFLAGS)

# --- programs ---------------------------------------------------------------

roles := $(patsubst proxy/%/main.c,%,$(wildcard proxy/*/main.c))
main_sources := $(roles:%=proxy/%/main.c)
unit_sources := $(wildcard test/unit/test_*.c)
fuzz_sources := $(wildcard test/fuzz/fuzz_*.c)
bench_sources := $(wildcard test/bench/*.c)
program_sources := $(main_sources) $(unit_sources) $(fuzz_sources) \
	$(bench_sources)

# One run of awk for all programs: words SOURCE|NEED and SOURCE|@LIBRARY.
declared := $(if $(program_sources),$(shell awk ' \
	function take(i) { for (; i <= NF; i++) if ($$i == "*/") { kind = ""; \
		return } else if ($$i != "*") print FILENAME "|" kind $$i } \
	FNR == 1 { kind = "" } \
	/^\/\* needs:/ { kind = "./"; take(3); next } \
	/^\/\* libs:/ { kind = "@"; take(3); next } \
	kind != "" { take(1) }' $(program_sources)))
words_of = $(patsubst $(1)|%,%,$(filter $(1)|%,$(declared)))
expand = $(if $(filter %/,$(1)),$(filter-out %/main.c,$(wildcard $(1)*.c)),$(1))
sources_of = $(sort $(1) $(foreach need,$(patsubst ./%,%,$(filter ./%,\
	$(call words_of,$(1)))),$(call expand,$(need))))
libraries_of = $(foreach lib,$(sort $(patsubst @%,%,$(filter @%,\
	$(call words_of,$(1))))),$(or $(lib_$(lib)),\
	$(error $(1): library "$(lib)" is not known or not installed)))
object_of = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

programs := $(roles:%=$(BUILD)/%)
programs := $(patsubst %/master,%/sallyport,$(programs))
unit_programs := $(unit_sources:%.c=$(BUILD)/%)
fuzz_programs := $(fuzz_sources:%.c=$(BUILD)/%)
bench_programs := $(bench_sources:%.c=$(BUILD)/%)

all: $(programs)

# $(1) executable, $(2) main source, $(3) further sources, $(4) flags,
# $(5) further libraries
define PROGRAM
objects_of_$(1) := $$(call object_of,$$(call sources_of,$(2)) $(3))
all_objects += $$(objects_of_$(1))
$(1): $$(objects_of_$(1)) $(BUILD)/flags
	@echo "  LINK    $$@"
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ldflags) $(4) -o $$@ $$(filter %.o,$$^) \
		$$(call libraries_of,$(2)) $(5)
endef
fuzz_main := $(if $(filter fuzzer,$(SANITIZE)),,test/fuzz/replay.c)
fuzz_link := $(if $(filter fuzzer,$(SANITIZE)),-fsanitize=fuzzer)
program = $(eval $(call PROGRAM,$(1),$(2),$(3),$(4),$(5)))
$(foreach role,$(roles),$(call program,$(patsubst \
	%/master,%/sallyport,$(BUILD)/$(role)),proxy/$(role)/main.c))
$(foreach source,$(unit_sources),$(call \
	program,$(source:%.c=$(BUILD)/%),$(source),,,$$(lib_cmocka)))
$(foreach source,$(fuzz_sources),$(call \
	program,$(source:%.c=$(BUILD)/%),$(source),$(fuzz_main),$(fuzz_link)))
$(foreach source,$(bench_sources),$(call \
	program,$(source:%.c=$(BUILD)/%),$(source)))

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@echo "  CC      $<"
	@mkdir -p $(@D)
	$(Q)$(CC) $(cflags) -MMD -MP -c -o $@ $<

# Changes when the compiler, a flag or the BoringSSL does: objects of different
# libraries are never mixed.
flags_now = $(CC) $(cflags) : $(ldflags) : $(lib_boringssl)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(flags_now))' | cmp -s - $@ || \
		echo '$(subst ','\'',$(flags_now))' > $@
FORCE:

-include $(sort $(all_objects:.o=.d))

# --- tests ------------------------------------------------------------------

# Packages first, and then a make that can ask pkg-config about them. All parts
# run, so that one report shows everything that is broken.
check:
	+@scripts/bootstrap build check
	+@$(MAKE) check-parts

check-parts:
	+@$(MAKE) all
	+@failed=; for part in unit fuzz e2e; do \
		$(MAKE) check-$$part || failed="$$failed $$part"; done; \
	if [ -n "$$failed" ]; then echo "failed:$$failed"; exit 1; fi

check-unit: $(unit_programs)
	@scripts/run-units $(sort $(unit_programs))

check-fuzz: $(fuzz_programs)
	@scripts/run-fuzz replay $(sort $(fuzz_programs))

E2E ?= test/e2e
check-e2e: all
	@$(PYTHON) -B -m pytest -p no:cacheprovider -q -n $(E2E_JOBS) \
		--dist loadfile $(PYTEST) $(E2E)

check-full:
	+@scripts/bootstrap build check observe scan senders
	+@SCALE=$(if $(filter 1,$(SCALE)),10,$(SCALE)) $(MAKE) check-parts \
		SCALE=$(if $(filter 1,$(SCALE)),10,$(SCALE))
	+@$(MAKE) bench-idle

# Sanitizers report through their exit status; leaks count as failures.
check-asan:
	+@ASAN_OPTIONS=handle_segv=2:handle_sigbus=2:handle_sigfpe=2:handle_sigill=2:detect_leaks=1 \
	$(MAKE) check-parts BUILD=$(BUILD)/asan SANITIZE=address
check-ubsan:
	+@UBSAN_OPTIONS=print_stacktrace=1 \
	$(MAKE) check-parts BUILD=$(BUILD)/ubsan SANITIZE=undefined
check-tsan:
	+@TSAN_OPTIONS=halt_on_error=1 \
	$(MAKE) check-unit BUILD=$(BUILD)/tsan SANITIZE=thread

fuzz:
	+@scripts/bootstrap build lint
	+@$(MAKE) fuzz-run CC=clang BUILD=$(BUILD)/fuzz SANITIZE=fuzzer
fuzz-run: $(fuzz_programs)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) JOBS=$(JOBS) \
		scripts/run-fuzz search $(sort $(fuzz_programs))

bench-programs: $(bench_programs)
# What runs other gateways needs their packages.
bench bench-growth: bench_packages := bench
bench bench-abuse bench-growth bench-handshake bench-idle:
	+@scripts/bootstrap build $(or $(bench_packages),demo)
	+@$(MAKE) all bench-programs
	@scripts/$@

cover:
	+@$(MAKE) check-unit BUILD=$(BUILD)/cover SANITIZE=coverage
	@scripts/cover $(BUILD)/cover

# --- everything else --------------------------------------------------------

deps:
	@scripts/bootstrap full

demo:
	+@scripts/bootstrap build demo
	+@$(MAKE) all
	@ONCE=$(ONCE) scripts/demo

lint:
	+@scripts/bootstrap build lint
	@scripts/lint

sources := $(shell find proxy tls backends config test -name '*.[ch]' \
	2>/dev/null)
tidy:
	@clang-tidy --quiet $(filter %.c,$(sources)) -- $(language)

format:
	@clang-format -i $(sources)

substitute = sed -e 's,@SBINDIR@,$(SBINDIR),g' -e 's,@CONFDIR@,$(CONFDIR),g' \
	-e 's,@LIBEXECDIR@,$(LIBEXECDIR),g' -e 's,@PREFIX@,$(PREFIX),g' \
	-e 's,@VERSION@,$(VERSION),g'
manuals := $(wildcard config/*.[1-8] proxy/*/*.[1-8])
units := $(wildcard config/*.service)

install: all
	@install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(LIBEXECDIR) \
		$(DESTDIR)$(CONFDIR) $(DESTDIR)$(UNITDIR)
	@install -m 755 $(BUILD)/sallyport $(DESTDIR)$(SBINDIR)/sallyport
	@install -m 755 $(filter-out %/sallyport,$(programs)) \
		$(DESTDIR)$(LIBEXECDIR)
	@[ -e $(DESTDIR)$(CONFDIR)/sallyport.conf ] || install -m 640 \
		config/sallyport.conf $(DESTDIR)$(CONFDIR)/sallyport.conf
	@for unit in $(units); do \
		$(substitute) $$unit > $(DESTDIR)$(UNITDIR)/$${unit##*/}; \
		chmod 644 $(DESTDIR)$(UNITDIR)/$${unit##*/}; done
	@for page in $(manuals); do section=$${page##*.}; \
		install -d $(DESTDIR)$(MANDIR)/man$$section; \
		install -m 644 $$page $(DESTDIR)$(MANDIR)/man$$section; done
	@install -d $(DESTDIR)$(BASHDIR)
	@install -m 644 scripts/sallyport.bash $(DESTDIR)$(BASHDIR)/sallyport
	@echo "installed in $(DESTDIR)$(PREFIX)"

# The configuration stays.
uninstall:
	@rm -f $(DESTDIR)$(SBINDIR)/sallyport
	@rm -rf $(DESTDIR)$(LIBEXECDIR)
	@rm -f $(DESTDIR)$(BASHDIR)/sallyport
	@for unit in $(units); do \
		rm -f $(DESTDIR)$(UNITDIR)/$${unit##*/}; done
	@for page in $(manuals); do \
		rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}; done

dist:
	@mkdir -p $(BUILD)
	@git archive --prefix=sallyport-$(VERSION)/ HEAD | \
		gzip -9n > $(BUILD)/sallyport-$(VERSION).tar.gz
	@echo "$(BUILD)/sallyport-$(VERSION).tar.gz"

clean:
	@rm -rf $(BUILD)

define HELP
Everyday
  make                 build everything into build/
  make demo            packages, two Dovecots, the gateway; until interrupted
  make demo ONCE=1     the same, and stop after one fetched message
  make check           packages, build, unit tests, corpora, end-to-end tests
  make lint            layers, style, format, cppcheck, documentation
Parts of check
  make check-unit      cmocka tests
  make check-fuzz      replay of the fuzz corpora
  make check-e2e       the real binary and a real Dovecot (E2E=FILE for one)
  make check-full      everything at ten times the size (SCALE=10), bench-idle
  make check-asan, check-ubsan, check-tsan   the same under a sanitizer
Further
  make deps            install every Debian package that any target needs
  make fuzz            libFuzzer, FUZZ_SECONDS=60 for each target
  make bench           cost beside other proxies: PEERS= MODES= ROUNDS= SECONDS=
  make bench-growth    how cost grows with sessions, backends, certificates
  make bench-idle      memory of an idle session
  make bench-handshake CPU of a handshake; sessions during a flood of them
  make bench-abuse     a good client beside 2,000 strangers a second
  make cover           line coverage of the unit tests
  make tidy            clang-tidy (slow)
  make format          clang-format on all sources
  make install, uninstall   DESTDIR= PREFIX=/usr/local SYSCONFDIR=/etc
  make dist, clean
Variables
  V=1 shows commands; CC=clang; JOBS=2; SCALE=1; BUILD=build
  BORINGSSL=/prefix takes another BoringSSL, shared or static
endef
help:
	$(info $(HELP))@:

.PHONY: all bench bench-abuse bench-growth bench-handshake bench-idle \
	bench-programs check check-asan check-e2e check-full check-fuzz \
	check-parts check-tsan check-ubsan check-unit clean cover demo deps \
	dist format fuzz fuzz-run help install lint tidy uninstall FORCE
