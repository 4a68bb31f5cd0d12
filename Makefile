# tracer: build, test, install. `make help` lists the targets, `V=1` shows the commands.

VERSION   := $(shell cat VERSION)
PREFIX    ?= /usr/local
DESTDIR   ?=
CC        := $(if $(filter default,$(origin CC)),gcc,$(CC))
CLANG     ?= clang
BPFTOOL   ?= $(firstword $(wildcard /usr/sbin/bpftool /sbin/bpftool) bpftool)
CFLAGS    ?= -O2 -g
WERROR    ?= $(if $(CI),-Werror)
BUILD     ?= build

WARNINGS  := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes $(WERROR)
CPPFLAGS  += -D_GNU_SOURCE -DTRACER_VERSION='"$(VERSION)"' -Iutils -Itracer -Ibpf -isystem $(BUILD)
COMPILE    = $(CC) -std=gnu11 $(CPPFLAGS) $(WARNINGS) $(CFLAGS) -MMD -MP
LIBRARIES := -lbpf -lelf -lpng -lz
SYSTEM_INCLUDES = /usr/include/$(shell $(CC) -print-multiarch 2>/dev/null)

Q   := $(if $(V),,@)
say  = $(if $(V),,@printf '  %-6s %s\n' $(1) $@)

# Objects come in four kinds: for programs (obj), for libckpt.so (pic), for restart (plain), for
# librollback (bare). Of what utils/ has for everybody a program takes what it needs, from an
# archive of the same kind.
objects   = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard $(1)))
LIBRARY_SOURCES := $(wildcard $(foreach folder,base image process pages slab client,utils/$(folder)/*.c))
TRACER   := $(call objects,tracer/*.c tracer/*/*.c)
TESTCASE := $(call objects,testcase/*.c)
CLIENT   := $(call objects,utils/client/*.c)
SLABSIM  := $(call objects,utils/slabsim/*.c)
READCKPT := $(call objects,utils/readckpt/*.c)
LIBCKPT_HANDLER := $(patsubst %.c,$(BUILD)/pic/%.o,$(wildcard $(foreach folder,libckpt capture own_memory,\
	utils/$(folder)/*.c)))
LIBCKPT  := $(patsubst %.c,$(BUILD)/pic/%.o,$(wildcard utils/preload/*.c)) $(BUILD)/libckpt-handler.o
ROLLBACK := $(patsubst %.c,$(BUILD)/bare/%.o,$(wildcard utils/rollback/*.c utils/pages/*.c))
INTERPOSE := %/interpose.o %/interpose_time.o # functions in the place of the C library's
FORKSERVER := $(patsubst %.c,$(BUILD)/pic/%.o,$(wildcard utils/forkserver/*.c))
RESTART_BECOME := $(patsubst %.c,$(BUILD)/plain/%.o,$(wildcard utils/become/*.c))
RESTART  := $(patsubst %.c,$(BUILD)/plain/%.o,$(wildcard $(foreach folder,restart reopen,\
	utils/$(folder)/*.c))) $(BUILD)/restart-become.o
MODULES  := $(filter-out %/main.o %/start.o $(INTERPOSE),$(TRACER) $(READCKPT) $(call objects,\
	$(foreach folder,restart reopen become libckpt capture own_memory preload,utils/$(folder)/*.c)))
programs  = $(patsubst testcase/%.c,$(BUILD)/%,$(wildcard testcase/$(1)/*.c))
UNIT     := $(call programs,unit)
E2E      := $(call programs,e2e)
BENCH    := $(call programs,bench)
FORKSERVER_TESTS := $(addprefix $(BUILD)/forkserver/,driver target target-asan)
WORKLOADS := $(filter-out %/rollback,$(call programs,workloads)) $(BUILD)/workloads/asan \
	$(BUILD)/workloads/rollback.so

# What is needed from the distribution (Debian's names): to build; to test; for
# reports; for the fuzzer; for afl-fuzz and its targets; for lint.
BUILD_PACKAGES := gcc make clang bpftool libbpf-dev libelf-dev libpng-dev zlib1g-dev libc6-dev
TEST_PACKAGES  := g++ bats binutils llvm qemu-system-x86 busybox-static libbpfcc gdb elfutils jq
BENCH_PACKAGES := gnuplot-nox libbpfcc
FUZZ_PACKAGES  := libclang-rt-dev
AFL_PACKAGES   := afl++ dpkg-dev autoconf automake libtool cmake
LINT_PACKAGES  := cppcheck clang-tidy clang-format shellcheck valgrind

.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:
.PHONY: all build tests build-tests check run run-vm test test-quick test-unit test-e2e test-vm test-large bench bench-quick bench-vm bench-ckpt bench-rollback bench-attach soak soak-rollback \
	deps deps-fuzz install uninstall lint sanitize valgrind fuzz fuzz-targets test-fuzz bench-fuzz format clean help

#: all         everything that is installed (the default)
all: $(BUILD)/tracer $(BUILD)/testcase $(BUILD)/slabsim $(BUILD)/client.o $(BUILD)/libckpt.so \
	$(BUILD)/restart $(BUILD)/restart-high $(BUILD)/readckpt $(BUILD)/librollback.a $(BUILD)/librollback.so \
	$(BUILD)/librollback.pc $(BUILD)/librollback-forkserver.so

#: build       the same as all
build: all

help:
	@sed -n 's/^#: //p' Makefile

#: deps        install the Debian or Ubuntu packages for all targets but the next (as root)
deps:
	$(Q)utils/deps.sh $(BUILD_PACKAGES) $(TEST_PACKAGES) $(BENCH_PACKAGES) $(FUZZ_PACKAGES) \
		$(LINT_PACKAGES)

#: deps-fuzz   those for afl-fuzz: fuzz-targets, test-fuzz, bench-fuzz
deps-fuzz:
	$(Q)utils/deps.sh $(BUILD_PACKAGES) $(AFL_PACKAGES)

# ---- building ----

$(BUILD)/packages: utils/deps.sh Makefile
	$(Q)mkdir -p $(@D)
	$(Q)utils/deps.sh $(BUILD_PACKAGES)
	$(Q)touch $@

$(BUILD)/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h) utils/pages/shared_list.h | $(BUILD)/packages
	$(call say,BPF)
	$(Q)$(CLANG) -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter $(WERROR) \
		-idirafter $(SYSTEM_INCLUDES) -Ibpf -Iutils -c $< -o $@

$(BUILD)/%.skel.h: $(BUILD)/%.bpf.o
	$(call say,SKEL)
	$(Q){ echo '/* NOLINTBEGIN */'; $(BPFTOOL) gen skeleton $< name $*_bpf && \
		echo '/* NOLINTEND */'; } >$@

$(addprefix $(BUILD)/obj/tracer/kernel/,hooks.o fault_list.o thread_reader.o): $(BUILD)/tracer.skel.h
$(BUILD)/obj/tracer/kernel/list_sharing.o: $(BUILD)/shared_list.skel.h

# The text that BCC compiles when the page engine is chosen, as a C string, and headers for it.
$(BUILD)/page.bcc.h: bpf/page.bcc.c bpf/tracer.h Makefile | $(BUILD)/packages
	$(call say,TEXT)
	$(Q)sed -e '/^#include "tracer.h"/{r bpf/tracer.h' -e 'd}' bpf/page.bcc.c | \
		sed -e '1i #define PAGE_PROGRAM \\' -e 's/[\\"]/\\&/g' -e 's/.*/"&\\n" \\/' \
			-e '$$a "\\n"' >$@

$(BUILD)/obj/tracer/engine/page_engine.o: $(BUILD)/page.bcc.h

BCC_HEADERS := $(shell cd bpf && find bcc -name '*.h')
$(BCC_HEADERS:%=$(BUILD)/%): $(BUILD)/%: bpf/%
	$(Q)mkdir -p $(@D)
	$(Q)cp $< $@

# libckpt.so is compiled apart: its code may lie anywhere (PIC), and binds its calls when it is
# loaded, not in the signal handler. The program sees nothing of it but libckpt_restarts and what
# takes the place of functions of the C library. So is restart, which is static. No sanitizer works
# in either: their memory and their stacks are not those of the program. Nor in librollback, which
# has no C library.
PLAIN_CFLAGS = $(filter-out -fsanitize% -fno-sanitize%,$(CFLAGS))
$(BUILD)/pic/%: override CFLAGS := $(PLAIN_CFLAGS) -U_FORTIFY_SOURCE -fPIC -fvisibility=hidden
$(BUILD)/plain/%: override CFLAGS := $(PLAIN_CFLAGS) -fno-stack-protector
$(BUILD)/bare/%: override CFLAGS := $(PLAIN_CFLAGS) -U_FORTIFY_SOURCE -fPIC -fvisibility=hidden \
	-ffreestanding -fno-stack-protector

define compile
$(call say,CC)
$(Q)mkdir -p $(@D)
$(Q)$(COMPILE) -c $< -o $@
endef
$(BUILD)/obj/%.o: %.c Makefile VERSION | $(BUILD)/packages
	$(compile)
$(BUILD)/pic/%.o: %.c Makefile VERSION | $(BUILD)/packages
	$(compile)
$(BUILD)/plain/%.o: %.c Makefile VERSION | $(BUILD)/packages
	$(compile)
$(BUILD)/bare/%.o: %.c Makefile VERSION | $(BUILD)/packages
	$(compile)

define archive
$(call say,AR)
$(Q)rm -f $@ && ar rcs $@ $^
endef
$(BUILD)/%/library.a: ; $(archive)
$(foreach kind,obj pic plain,$(eval $(BUILD)/$(kind)/library.a: \
	$(patsubst %.c,$(BUILD)/$(kind)/%.o,$(LIBRARY_SOURCES))))
$(BUILD)/obj/modules.a: $(MODULES)
	$(archive)

# Links objects and what they need of an archive into one, and fails if that needs a symbol of
# anything else that the list does not allow: see utils/allowed_symbols.sh.
define link_allowed
$(call say,ALLOW)
$(Q)utils/allowed_symbols.sh $(filter %/allowed-symbols,$^) $@ $(filter %.o,$^) $(filter %.a,$^)
endef

# Links whatever objects and archives are needed, or compiles it from source in one go.
define link
$(call say,LINK)
$(Q)mkdir -p $(@D)
$(Q)$(CC) $(if $(filter %.c,$^),-std=gnu11 $(CPPFLAGS) $(WARNINGS)) $(CFLAGS) $(LDFLAGS) $(FORM) \
	$(filter %.c %.o,$^) $(filter %.a,$^) -o $@ $(LIBS)
endef

$(BUILD)/tracer: LIBS := $(LIBRARIES)
$(BUILD)/tracer: $(TRACER) $(BUILD)/obj/library.a | $(BCC_HEADERS:%=$(BUILD)/%)
	$(link)

$(BUILD)/testcase: $(TESTCASE) $(BUILD)/obj/library.a
	$(link)

$(BUILD)/slabsim: $(SLABSIM) $(BUILD)/obj/library.a
	$(link)

$(BUILD)/readckpt: LIBS := -lelf -lz
$(BUILD)/readckpt: $(READCKPT) $(BUILD)/obj/library.a
	$(link)

# The client library is this one object and utils/client/client.h.
$(BUILD)/client.o: $(CLIENT)
	$(Q)cp $< $@

$(BUILD)/libckpt-handler.o $(BUILD)/restart-become.o: utils/allowed_symbols.sh
$(BUILD)/libckpt-handler.o: utils/libckpt/allowed-symbols $(LIBCKPT_HANDLER) $(BUILD)/pic/library.a
	$(link_allowed)

$(BUILD)/libckpt.so: FORM := -shared -Wl,-z,now,-z,defs,-soname,libckpt.so
$(BUILD)/libckpt.so: LIBS := -lz
$(BUILD)/libckpt.so: override CFLAGS := $(PLAIN_CFLAGS)
$(BUILD)/libckpt.so: $(LIBCKPT) $(BUILD)/pic/library.a
	$(link)

# In two mappings instead of five: each rollback of a target reads the list of mappings.
$(BUILD)/librollback-forkserver.so: FORM := -shared -Wl,-z,now,-z,defs \
	-Wl,-z,noseparate-code,-z,norelro -Wl,--exclude-libs,ALL,-soname,librollback-forkserver.so
$(BUILD)/librollback-forkserver.so: override CFLAGS := $(PLAIN_CFLAGS)
$(BUILD)/librollback-forkserver.so: $(FORKSERVER) $(BUILD)/librollback.a
	$(link)

$(BUILD)/restart-become.o: utils/become/allowed-symbols $(RESTART_BECOME) $(BUILD)/plain/library.a
	$(link_allowed)

# librollback is one object, in which all but rollback__... is hidden.
$(BUILD)/librollback.o: utils/allowed_symbols.sh
$(BUILD)/librollback.o: utils/rollback/allowed-symbols $(ROLLBACK)
	$(link_allowed)
	$(Q)objcopy --localize-hidden $@

$(BUILD)/librollback.a: $(BUILD)/librollback.o
	$(archive)

$(BUILD)/librollback.so: FORM := -shared -nostdlib -Wl,-z,now,-soname,librollback.so
$(BUILD)/librollback.so: override CFLAGS := $(PLAIN_CFLAGS)
$(BUILD)/librollback.so: $(BUILD)/librollback.o
	$(link)

$(BUILD)/librollback.pc: utils/rollback/librollback.pc.in Makefile VERSION
	$(call say,TEXT)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' $< >$@

# restart must not lie where a process wants to be that it brings back. lld links programs that are
# not PIE to 2 MiB, ld to 4 MiB; 64 KiB is the lowest address that a kernel gives to users
# (vm.mmap_min_addr). If a process was below 2 MiB, restart executes restart-high. Static, for a
# shared library lies where the kernel likes.
RESTARTS := $(BUILD)/restart $(BUILD)/restart-high
$(RESTARTS): LIBS := -lz
$(RESTARTS): override CFLAGS := $(PLAIN_CFLAGS)
$(BUILD)/restart: FORM := -static -no-pie -Wl,-Ttext-segment=0x10000,-z,norelro
$(BUILD)/restart-high: FORM := -static -no-pie -Wl,-Ttext-segment=0x70000000,-z,norelro
$(RESTARTS): $(RESTART) $(BUILD)/plain/library.a
	$(link)

$(UNIT) $(E2E) $(BENCH) $(filter-out %/asan %.so,$(WORKLOADS)): LIBS := $(LIBRARIES) -pthread
$(BUILD)/bench/bench_rollback: $(BUILD)/librollback.a | $(BUILD)/tracer
$(UNIT) $(E2E) $(BENCH) $(filter-out %/asan %.so,$(WORKLOADS)): $(BUILD)/%: \
		$(BUILD)/obj/testcase/%.o $(BUILD)/obj/modules.a $(BUILD)/obj/library.a
	$(link)

# work.c in the ways to build a program. A static one cannot preload libckpt, so it is linked in.
WORKS := $(addprefix $(BUILD)/ckpt/,work work-no-pie work-low work-static)
$(BUILD)/ckpt/work-low: FORM := -fno-pie -no-pie -Wl,-Ttext-segment=0x10000
$(BUILD)/ckpt/work-no-pie: FORM := -fno-pie -no-pie
$(BUILD)/ckpt/work-static: FORM := -static
$(WORKS): LIBS = -pthread $(if $(filter -static,$(FORM)),-lz)
$(BUILD)/ckpt/work-static: $(filter-out $(INTERPOSE),$(LIBCKPT)) $(BUILD)/pic/library.a
$(WORKS): $(wildcard testcase/ckpt/work*.[ch])

# Its crc32() takes the place of zlib's in libckpt.
MOVING := $(BUILD)/ckpt/moving
$(MOVING): FORM := -rdynamic
$(MOVING): LIBS := -pthread
$(MOVING): testcase/ckpt/moving.c

# foreign.c in the other ways to build a program: without shared libraries, at a fixed address.
FORMS := $(BUILD)/e2e/foreign-static $(BUILD)/e2e/foreign-no-pie
$(BUILD)/e2e/foreign-static: FORM := -static
$(BUILD)/e2e/foreign-no-pie: FORM := -fno-pie -no-pie
$(FORMS): testcase/e2e/foreign.c testcase/e2e/check.h testcase/say.h

$(WORKS) $(MOVING) $(FORMS): override CFLAGS := $(PLAIN_CFLAGS)
$(WORKS) $(MOVING) $(FORMS):
	$(link)

# scenes.c in the ways to link a program with librollback.
SCENES := $(addprefix $(BUILD)/rollback/,scenes scenes-no-pie scenes-static)
$(BUILD)/rollback/scenes: FORM := -Wl,-z,now,-rpath,'$$ORIGIN/..'
$(BUILD)/rollback/scenes: $(BUILD)/librollback.so
$(BUILD)/rollback/scenes-no-pie: FORM := -fno-pie -no-pie
$(BUILD)/rollback/scenes-static: FORM := -static
$(BUILD)/rollback/scenes-no-pie $(BUILD)/rollback/scenes-static: $(BUILD)/librollback.a
$(SCENES): LIBS = $(filter %.so,$^) -pthread
$(SCENES): $(wildcard testcase/rollback/scenes*.[ch]) testcase/rollback/whole_memory.h \
	testcase/unit/random.h utils/rollback/rollback.h
	$(link)

$(BUILD)/rollback/exceptions: testcase/rollback/exceptions.cc $(BUILD)/librollback.a
	$(call say,LINK)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(CPPFLAGS) -Wall -Wextra $(WERROR) $(PLAIN_CFLAGS) $^ -o $@
$(BUILD)/rollback/refusals: LIBS := -pthread
$(BUILD)/rollback/refusals: testcase/rollback/refusals.c testcase/unit/tap.h $(BUILD)/librollback.a
	$(link)
$(BUILD)/rollback/large: testcase/rollback/large.c testcase/unit/tap.h $(BUILD)/librollback.a
	$(link)
$(BUILD)/rollback/ranges: testcase/rollback/ranges.c utils/base/parse.c testcase/unit/tap.h \
		testcase/unit/random.h $(BUILD)/librollback.a
	$(link)
$(BUILD)/rollback/listed: FORM := -Wl,-z,now
$(BUILD)/rollback/listed: LIBS := -pthread
$(BUILD)/rollback/listed: $(wildcard testcase/rollback/listed*.[ch]) \
		testcase/rollback/own_tracer.h utils/base/parse.c testcase/unit/tap.h \
		testcase/unit/random.h \
		$(BUILD)/librollback.a | $(BUILD)/tracer
	$(link)
# Without sanitizers: they map terabytes, which leave no addresses for a checkpoint inside another.
ROLLBACK_TESTS := $(SCENES) $(addprefix $(BUILD)/rollback/,exceptions refusals large ranges listed)
$(ROLLBACK_TESTS): override CFLAGS := $(PLAIN_CFLAGS)

CLIENT_SOURCES := utils/client/client.c utils/base/parse.c
$(BUILD)/workloads/asan: FORM := -fsanitize=address
$(BUILD)/workloads/asan: testcase/workloads/blocks.c testcase/workloads/workload.h testcase/say.h
$(BUILD)/workloads/rollback.so: FORM := -fPIC -shared
$(BUILD)/workloads/rollback.so: LIBS := -ldl
$(BUILD)/workloads/rollback.so: testcase/workloads/rollback.c utils/client/client.h
$(BUILD)/workloads/asan $(BUILD)/workloads/rollback.so: $(CLIENT_SOURCES)
	$(link)

# Targets for librollback-forkserver.so, and what stands in for afl-fuzz.
$(BUILD)/forkserver/driver: testcase/forkserver/driver.c utils/base/parse.c
$(BUILD)/forkserver/target: testcase/forkserver/target.c
# A sanitizer that is a shared library would have to be preloaded, too.
$(BUILD)/forkserver/target-asan: FORM := -fsanitize=address -static-libasan
$(BUILD)/forkserver/target-asan: testcase/forkserver/target.c
$(BUILD)/forkserver/target $(BUILD)/forkserver/target-asan: testcase/forkserver/target.h
$(FORKSERVER_TESTS): override CFLAGS := $(PLAIN_CFLAGS)
$(FORKSERVER_TESTS): utils/forkserver/protocol.h
	$(link)

-include $(shell find $(BUILD)/obj $(BUILD)/pic $(BUILD)/plain $(BUILD)/bare -name '*.d' 2>/dev/null)

# ---- running ----

#: run         tracer on testcase, natively (as root; ARGS="-n 12 -t 5" for testcase)
ARGS ?= -n 10 -t 5
run: all
	cd $(BUILD) && ./tracer ./testcase $(ARGS)

#: run-vm      the same in a VM, where the kernel may write (KERNEL=6.1 or 6.12)
KERNEL ?= 6.12
run-vm: all
	$(Q)utils/deps.sh $(TEST_PACKAGES)
	testcase/vm/run.sh --kernel $(KERNEL) --results results -- \
		sh -c 'cd $(BUILD) && ./tracer ./testcase $(ARGS)'

# ---- testing ----

#: tests       build the test programs and install what the tests need
tests: all $(UNIT) $(ROLLBACK_TESTS) $(E2E) $(FORMS) $(WORKLOADS) $(WORKS) $(MOVING) $(BENCH) \
	$(FORKSERVER_TESTS)
	$(Q)utils/deps.sh $(TEST_PACKAGES)

# The same with all processors, if -j does not say otherwise.
build-tests:
	$(Q)$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc)) tests

UNIT_SUITES := $(UNIT) $(ROLLBACK_TESTS) $(wildcard testcase/unit/*.sh)
E2E_SUITES  := $(wildcard $(foreach folder,ckpt forkserver workloads attach e2e bench,testcase/$(folder)/*.bats))
VM_SUITES   := $(wildcard testcase/vm/*.tap.sh)

# Suites wait for much of their time, so several run at once. The longest come first.
RUN := testcase/run.sh --jobs 3

#: test        everything that CI runs: unit, end to end here and in both VMs
test: build-tests
	$(RUN) --beside $(firstword $(VM_SUITES)) $(ROLLBACK_TESTS) $(E2E_SUITES) \
		$(wordlist 2,9,$(VM_SUITES)) $(filter-out $(ROLLBACK_TESTS),$(UNIT_SUITES))

#: check       the same as test
check: test

# What makes a run longer than three minutes.
SLOW_SUITES := $(foreach name,workloads/% ckpt/% forkserver/% bench/% unit/run_test.sh \
	$(addprefix attach/,attach.bats programs.bats go.bats languages.bats states.bats save.bats \
	whole.bats hostile.bats) \
	$(addprefix e2e/,faults.bats page.bats ranges.bats rollback.bats end.bats docs.bats cli.bats \
	refused.bats readckpt.bats),testcase/$(name)) \
	$(SCENES) $(BUILD)/rollback/listed $(addprefix $(BUILD)/unit/,image_hostile_test dense_blocks_test)

#: test-quick  without machines and slow suites, in less than three minutes (as root)
test-quick: build-tests
	$(RUN) testcase/ckpt/vm_scenes.sh $(filter-out $(SLOW_SUITES),$(E2E_SUITES) $(UNIT_SUITES))

#: test-unit   modules alone; no root needed
test-unit: build-tests
	$(RUN) $(UNIT_SUITES)

#: test-e2e    the real programs on this kernel (as root)
test-e2e: build-tests
	$(RUN) $(E2E_SUITES)

#: soak        100,000 rollbacks of a small process, 1,000 of one with 1 GiB: minutes (as root)
soak: tests
	$(BUILD)/e2e/rollback $(BUILD)/e2e/attached soak 100000
	$(BUILD)/e2e/rollback $(BUILD)/e2e/attached soak 1000 1073741824

#: test-vm     the same on Debian's 6.1 and 6.12 kernels, under emulation
test-vm: tests
	testcase/run.sh $(VM_SUITES)

#: soak-rollback 1,000,000 rollbacks of librollback without growth, some minutes
soak-rollback: $(BUILD)/rollback/refusals
	$< 1000000

#: test-large  an image of 1 GiB on both of them, at the same time: 12 GiB of memory, some minutes
test-large: tests
	testcase/run.sh testcase/vm/large.tap

FUZZ_SECONDS ?= 60
FUZZ_CORPUS  := $(BUILD)/fuzz/corpus
FUZZ_SOURCES  := testcase/fuzz/image_fuzz.c $(filter-out utils/client/%,$(LIBRARY_SOURCES)) \
	$(filter-out %/main.c,$(wildcard utils/readckpt/*.c))

$(BUILD)/fuzz/image_fuzz: $(FUZZ_SOURCES) $(wildcard testcase/fuzz/*.h utils/image/*.h) | $(BUILD)/packages
	$(call say,FUZZ)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) -std=gnu11 $(CPPFLAGS) $(WARNINGS) -O1 -g -DFUZZER -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all $(FUZZ_SOURCES) -o $@ -lelf -lz

#: fuzz        the reader of images against what nobody wrote, for FUZZ_SECONDS=60
fuzz: $(BUILD)/e2e/make_images
	$(Q)utils/deps.sh $(FUZZ_PACKAGES)
	$(Q)$(MAKE) $(BUILD)/fuzz/image_fuzz
	$(Q)mkdir -p $(FUZZ_CORPUS) && $(BUILD)/e2e/make_images $(FUZZ_CORPUS)
	$(BUILD)/fuzz/image_fuzz -max_total_time=$(FUZZ_SECONDS) -max_len=32768 -timeout=23 \
		-rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix=$(BUILD)/fuzz/ \
		$(FUZZ_CORPUS) testcase/fuzz/corpus

#: fuzz-targets  real programs from Debian's sources, built for afl-fuzz, in build/fuzz-targets
fuzz-targets: $(BUILD)/librollback-forkserver.so
	$(Q)utils/deps.sh $(AFL_PACKAGES)
	testcase/fuzz-targets/build.sh $(BUILD)/fuzz-targets

#: test-fuzz   librollback-forkserver.so with them: 10,000 inputs each are as without it
test-fuzz: fuzz-targets $(BUILD)/forkserver/driver
	testcase/fuzz-targets/compare.sh

#: bench-fuzz  afl-fuzz with and without librollback-forkserver.so, about 15 minutes; prints a table
bench-fuzz: fuzz-targets
	testcase/fuzz-targets/bench.sh

#: bench       measure, about ten minutes (as root); leaves results/bench-TIME.csv and plots
bench: all $(BENCH)
	$(Q)utils/deps.sh $(BENCH_PACKAGES)
	testcase/bench/bench.sh
	testcase/bench/bcc.sh

#: bench-quick the same with smaller sizes, in less than two minutes
bench-quick: all $(BENCH)
	$(Q)utils/deps.sh $(BENCH_PACKAGES)
	testcase/bench/bench.sh --quick

#: bench-vm    ratios where BPF restores, in a VM (KERNEL=6.1 or 6.12)
bench-vm: all $(BENCH)
	$(Q)utils/deps.sh $(TEST_PACKAGES) $(BENCH_PACKAGES)
	testcase/vm/run.sh --kernel $(KERNEL) --results results -- \
		testcase/bench/bench.sh

#: bench-attach measure rollbacks of attached processes beside a bare stop, criu and memcr (as root)
bench-attach: all $(BENCH)
	testcase/bench/bench_attach.sh

#: bench-rollback measure librollback beside fork and memcpy; leaves results/bench-rollback-TIME.csv
bench-rollback: $(BUILD)/bench/bench_rollback
	testcase/bench/bench_rollback.sh

#: bench-ckpt  measure images of processes; prints a table
bench-ckpt: all $(BENCH)
	testcase/bench/bench_ckpt.sh

# ---- the rest ----

SOURCES := $(wildcard bpf/*.[ch] tracer/*.[ch] tracer/*/*.[ch] utils/*/*.[ch] testcase/*.[ch] testcase/*/*.[ch] \
	docs/examples/*.[ch])
BATS    := $(wildcard testcase/*/*.bats testcase/*/*.bash)
SCRIPTS := $(wildcard utils/*.sh testcase/*.sh testcase/*.bash testcase/*/*.sh testcase/vm/init testcase/vm/large.tap \
	docs/examples/*.sh utils/completion.bash .ci/run)

# States that clang-tidy follows from each function. Its own number, 225000, took three times as
# long and found nothing more.
LINT_STATES ?= 50000

#: lint        the format, cppcheck, clang-tidy and shellcheck; no warning is left
lint: all
	$(Q)utils/deps.sh $(LINT_PACKAGES)
	$(Q)clang-format --dry-run -Werror $(SOURCES)
	$(Q)utils/layout.sh $(SOURCES) $(SCRIPTS) $(BATS) Makefile
	$(Q)cppcheck --quiet -j "$$(nproc)" --std=c11 --enable=warning,performance,portability --inline-suppr \
		--suppress='*:bpf/*' --error-exitcode=1 -D_GNU_SOURCE -Iutils -Itracer -Ibpf \
		tracer utils testcase $(filter-out %.bpf.c,$(wildcard docs/examples/*.c))
	$(Q)printf '%s\n' $(filter-out bpf/% %.bpf.c,$(filter %.c,$(SOURCES))) | \
		xargs -P "$$(nproc)" -I FILE clang-tidy --quiet FILE -- -std=gnu11 $(CPPFLAGS) \
		-Xclang -analyzer-config -Xclang max-nodes=$(LINT_STATES)
	$(Q)shellcheck $(SCRIPTS)

#: sanitize    unit tests under ASan and UBSan, in build/sanitize
sanitize:
	$(MAKE) BUILD=build/sanitize CFLAGS='-O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=all' test-unit

#: valgrind    unit tests under valgrind
valgrind: tests
	$(Q)utils/deps.sh $(LINT_PACKAGES)
	for test in $(filter-out %/procfs_test,$(UNIT)) '$(BUILD)/unit/procfs_test 2301'; do \
		valgrind -q --error-exitcode=9 --leak-check=full $$test >/dev/null || exit 1; \
	done

#: format      clang-format everything
format:
	clang-format -i $(SOURCES)

COMPLETIONS = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
DOCUMENTS   = $(DESTDIR)$(PREFIX)/share/doc/tracer

# The manual pages name these as docs/NAME.
MANUAL_DOCUMENTS := limits.md protocol.md socket.md reports.md image-format.md

#: install     into $(DESTDIR)$(PREFIX): programs, libraries, manual, completion in bash
install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/tracer \
		$(DESTDIR)$(PREFIX)/include/tracer $(DESTDIR)$(PREFIX)/share/man/man8 \
		$(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man7 $(COMPLETIONS)
	install -m 755 $(BUILD)/tracer $(DESTDIR)$(PREFIX)/sbin/tracer
	install -m 755 $(BUILD)/testcase $(DESTDIR)$(PREFIX)/bin/testcase
	install -m 755 $(BUILD)/slabsim $(DESTDIR)$(PREFIX)/bin/slabsim
	install -m 755 $(BUILD)/restart $(DESTDIR)$(PREFIX)/bin/restart
	install -m 755 $(BUILD)/restart-high $(DESTDIR)$(PREFIX)/lib/tracer/restart-high
	install -m 644 $(BUILD)/libckpt.so $(DESTDIR)$(PREFIX)/lib/tracer/libckpt.so
	install -m 755 $(BUILD)/librollback-forkserver.so $(DESTDIR)$(PREFIX)/lib/tracer/librollback-forkserver.so
	install -m 755 $(BUILD)/readckpt $(DESTDIR)$(PREFIX)/bin/readckpt
	install -m 644 $(BUILD)/client.o $(DESTDIR)$(PREFIX)/lib/tracer/client.o
	for header in $(BCC_HEADERS); do \
		install -D -m 644 bpf/$$header $(DESTDIR)$(PREFIX)/lib/tracer/$$header || exit 1; \
	done
	install -m 644 utils/client/client.h $(DESTDIR)$(PREFIX)/include/tracer/client.h
	install -m 644 utils/libckpt/ckpt.h $(DESTDIR)$(PREFIX)/include/tracer/ckpt.h
	install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig
	install -m 644 $(BUILD)/librollback.a $(DESTDIR)$(PREFIX)/lib/librollback.a
	install -m 755 $(BUILD)/librollback.so $(DESTDIR)$(PREFIX)/lib/librollback.so
	sed 's|^prefix=.*|prefix=$(PREFIX)|' $(BUILD)/librollback.pc \
		>$(DESTDIR)$(PREFIX)/lib/pkgconfig/librollback.pc
	chmod 644 $(DESTDIR)$(PREFIX)/lib/pkgconfig/librollback.pc
	install -m 644 utils/rollback/rollback.h $(DESTDIR)$(PREFIX)/include/tracer/rollback.h
	install -m 644 docs/tracer.8 $(DESTDIR)$(PREFIX)/share/man/man8/tracer.8
	install -m 644 docs/tracer-ctl.1 $(DESTDIR)$(PREFIX)/share/man/man1/tracer-ctl.1
	install -m 644 utils/completion.bash $(COMPLETIONS)/tracer
	for program in testcase slabsim restart readckpt; do \
		ln -sf tracer $(COMPLETIONS)/$$program || exit 1; \
	done
	install -m 644 docs/testcase.1 $(DESTDIR)$(PREFIX)/share/man/man1/testcase.1
	install -m 644 docs/slabsim.1 $(DESTDIR)$(PREFIX)/share/man/man1/slabsim.1
	install -m 644 docs/restart.1 $(DESTDIR)$(PREFIX)/share/man/man1/restart.1
	install -m 644 docs/libckpt.7 $(DESTDIR)$(PREFIX)/share/man/man7/libckpt.7
	install -m 644 docs/readckpt.1 $(DESTDIR)$(PREFIX)/share/man/man1/readckpt.1
	install -d $(DOCUMENTS)
	install -m 644 $(addprefix docs/,$(MANUAL_DOCUMENTS)) $(DOCUMENTS)

#: uninstall   remove what install has put there
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/sbin/tracer $(DESTDIR)$(PREFIX)/bin/testcase \
		$(DESTDIR)$(PREFIX)/bin/slabsim \
		$(DESTDIR)$(PREFIX)/bin/readckpt \
		$(DESTDIR)$(PREFIX)/lib/librollback.a $(DESTDIR)$(PREFIX)/lib/librollback.so \
		$(DESTDIR)$(PREFIX)/lib/pkgconfig/librollback.pc \
		$(DESTDIR)$(PREFIX)/include/tracer/rollback.h \
		$(DESTDIR)$(PREFIX)/lib/tracer/client.o \
		$(DESTDIR)$(PREFIX)/lib/tracer/librollback-forkserver.so \
		$(DESTDIR)$(PREFIX)/include/tracer/client.h \
		$(DESTDIR)$(PREFIX)/include/tracer/ckpt.h \
		$(DESTDIR)$(PREFIX)/share/man/man8/tracer.8 \
		$(DESTDIR)$(PREFIX)/share/man/man1/testcase.1 \
		$(DESTDIR)$(PREFIX)/share/man/man1/slabsim.1 \
		$(DESTDIR)$(PREFIX)/bin/restart $(DESTDIR)$(PREFIX)/lib/tracer/restart-high \
		$(DESTDIR)$(PREFIX)/lib/tracer/libckpt.so \
		$(DESTDIR)$(PREFIX)/share/man/man1/restart.1 \
		$(DESTDIR)$(PREFIX)/share/man/man7/libckpt.7 \
		$(DESTDIR)$(PREFIX)/share/man/man1/readckpt.1
	rm -f $(DESTDIR)$(PREFIX)/share/man/man1/tracer-ctl.1 \
		$(addprefix $(COMPLETIONS)/,tracer testcase slabsim restart readckpt)
	rm -rf $(DESTDIR)$(PREFIX)/lib/tracer/bcc $(DOCUMENTS)
	-rmdir $(DESTDIR)$(PREFIX)/lib/tracer $(DESTDIR)$(PREFIX)/include/tracer

#: clean       remove build/
clean:
	rm -rf $(BUILD)
