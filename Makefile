# SPDX-License-Identifier: Apache-2.0
#
# A short front to Meson: each target says what it runs. `make help` lists them.
# CC=clang builds with clang, in build/release-clang.

ifeq ($(origin CC),default)
  SUFFIX :=
else
  SUFFIX := -$(notdir $(firstword $(CC)))
  export CC
endif

RELEASE := build/release$(SUFFIX)
ASAN    := build/asan$(SUFFIX)
TSAN    := build/tsan$(SUFFIX)
FUZZ    := build/fuzz
DEMO    := $(RELEASE)/src/demo/everlit-demo
DAEMON  := $(RELEASE)/src/cmd/everlitd

PORT         ?= 8500
REST_PORT    ?= 8501
FUZZ_SECONDS ?= 10
SEEDS        ?= 10000
KILLS        ?= 500

MAKEFLAGS += --no-print-directory
SANITIZED := --buildtype=debugoptimized -Db_lundef=false

# Ninja uses all the cores already; and set-up comes before what needs it.
.NOTPARALLEL:

.PHONY: all help setup demo run test check kill-loop sim conformance asan tsan fuzz bench lint format install clean distclean

all: setup $(RELEASE)/build.ninja
	@ninja -C $(RELEASE)

help:
	@printf '%s\n' \
	'Everlit: models are swapped, the answers go on.' '' \
	'Use' \
	'  make demo      install what is missing, build, show swaps under load (60 s)' \
	'  make run       serve models/ on 8500 (gRPC) and 8501 (REST) until Ctrl-C' \
	'  make install   install to /usr/local (DESTDIR and `meson configure` apply)' '' \
	'Build and test' \
	'  make           build to build/release; CC=clang: to build/release-clang' \
	'  make test      install what is missing, build, run every test: as users get' \
	'                 it, with ASan and UBSan, with TSan; and the fuzzers (25 minutes)' \
	'  make check     every test as users get it, nothing else' \
	'  make sim       SEEDS=10000 simulated worlds of swaps, operators and crashes;' \
	'                 SEED=N replays one and tells its story' \
	'  make kill-loop  KILLS=500 kills of a server under load, and one at each write' \
	'                 of its journal (about 25 minutes)' \
	'  make conformance  ask what TensorFlow Serving was asked, compare the answers' \
	'  make asan      the same tests with AddressSanitizer and UBSan (build/asan)' \
	'  make tsan      the same tests with ThreadSanitizer (build/tsan)' \
	'  make fuzz      each fuzzer over its corpus for FUZZ_SECONDS=10 (build/fuzz)' \
	'  make bench     measure; prints tables, writes build/bench/ (QUICK=1: a minute)' '' \
	'Keep tidy' \
	'  make format    clang-format on every C file' \
	'  make lint      clang-format, clang-tidy, gcc -fanalyzer, cppcheck, shellcheck' \
	'                 and the direction of the includes' \
	'  make clean     remove what was built; keeps the engines and downloads' \
	'  make distclean remove build/ altogether' '' \
	'One test: meson test -C build/release NAME. More: CONTRIBUTING.md'

setup:
	@tools/setup

# ------------------------------------------------------------------------ use

demo: all
	@$(DEMO)

run: all build/models.config
	@exec $(DAEMON) --port=$(PORT) --rest_api_port=$(REST_PORT) --model_config_file=build/models.config

# TensorFlow Serving's config knows absolute base paths only.
build/models.config: models/models.config.in Makefile
	@sed 's|@MODELS@|$(CURDIR)/models|g' $< > $@.partial && mv $@.partial $@

install: all
	@meson install -C $(RELEASE) --no-rebuild

# ------------------------------------------------------------- build and test

$(RELEASE)/build.ninja:
	@meson setup $(RELEASE) --buildtype=release -Ddebug=true

$(ASAN)/build.ninja:
	@meson setup $(ASAN) $(SANITIZED) -Db_sanitize=address,undefined -Dc_args=-fno-sanitize-recover=all

$(TSAN)/build.ninja:
	@meson setup $(TSAN) $(SANITIZED) -Db_sanitize=thread

# libFuzzer is part of clang.
$(FUZZ)/build.ninja:
	@CC=clang meson setup $(FUZZ) $(SANITIZED) -Db_sanitize=address,undefined -Dfuzz=true

test: setup-test setup-fuzz $(RELEASE)/build.ninja $(ASAN)/build.ninja $(TSAN)/build.ninja $(FUZZ)/build.ninja
	@tools/test-all $(RELEASE) $(ASAN) $(TSAN) $(FUZZ)

check: setup-test $(RELEASE)/build.ninja
	@ninja -C $(RELEASE)
	@tools/run-tests $(RELEASE)

sim: setup $(RELEASE)/build.ninja
	@ninja -C $(RELEASE) test/sim/sim
	@$(RELEASE)/test/sim/sim $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

kill-loop: setup-test all
	@EVERLIT_BUILD=$(RELEASE) PYTHONDONTWRITEBYTECODE=1 build/test-venv/bin/python test/kill/kill_loop.py --kills $(KILLS) $(if $(SEED),--seed $(SEED))

conformance: setup-test all
	@EVERLIT_BUILD=$(RELEASE) PYTHONDONTWRITEBYTECODE=1 build/test-venv/bin/python test/conformance/conformance.py

asan: setup-test $(ASAN)/build.ninja
	@ninja -C $(ASAN)
	@tools/run-tests $(ASAN)

tsan: setup-test $(TSAN)/build.ninja
	@ninja -C $(TSAN)
	@tools/run-tests $(TSAN)

fuzz: setup-fuzz $(FUZZ)/build.ninja
	@ninja -C $(FUZZ) fuzzers
	@EVERLIT_FUZZ_SECONDS=$(FUZZ_SECONDS) tools/run-tests $(FUZZ) --suite fuzz

bench: all
	@bench/run.py $(RELEASE) $(if $(QUICK),--quick)

.PHONY: setup-test setup-fuzz setup-lint
setup-test setup-fuzz setup-lint:
	@tools/setup --$(@:setup-%=%)

# ------------------------------------------------------------------ keep tidy

lint: setup-lint setup
	@tools/lint

format: setup-lint
	@git ls-files -z -- '*.c' '*.h' | xargs -0 -r clang-format -i

clean:
	@rm -rf $(RELEASE) $(ASAN) $(TSAN) $(FUZZ) build/lint build/bench build/logs build/models.config

distclean:
	@rm -rf build
