# SPDX-License-Identifier: MIT
#
# A thin front door to Meson: every target is a line or two that you could type yourself. What a
# target needs is installed first by scripts/install-deps, which does nothing when all is there.

BUILD   ?= build
DIR     ?= examples/media
ARGS    ?=
SEEDS   ?= 2000
SECONDS ?= 60
PREFIX  ?= /usr/local
DESTDIR ?=

MESON  ?= meson
PYTHON := /usr/bin/python3
ifeq ($(wildcard $(PYTHON)),)
PYTHON := python3
endif

# Recipes read these from the environment, so that a folder's name may hold spaces and quotes.
export DIR DESTDIR

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help build run test test-all bench sim fuzz lint install coverage clean

help:
	@echo 'make run [DIR=folder]   build, then serve a folder of films (default: examples/media)'
	@echo '         [ARGS=flags]   flags for leat serve, such as ARGS="--listen 127.0.0.1:9000"'
	@echo 'make build              leave build/leat: a release with symbols'
	@echo 'make test               the whole suite, at most 10 minutes'
	@echo 'make test-all           the same with the long parts'
	@echo 'make bench              leat beside its peers, measured here in 10 minutes; ARGS=--all: 40'
	@echo 'make sim [SEEDS=n]      the simulator, n seeds a scenario (default: 2000)'
	@echo 'make fuzz [SECONDS=n]   every fuzz target for n seconds (default: 60)'
	@echo 'make lint               format, shell scripts, includes; TIDY=1 adds clang-tidy'
	@echo 'make coverage           branch coverage of loop, fiber, net and http'
	@echo 'make install            [PREFIX=/usr/local] [DESTDIR=]'
	@echo 'make clean              remove the build folders'

# LEAT_SKIP_DEPS=1 in the environment makes install-deps believe that everything is there.
build: .deps-run $(BUILD)/build.ninja $(BUILD)/.with-web
	@ninja -C $(BUILD) --quiet
	@ln -sfn apps/leat/leat $(BUILD)/leat

$(BUILD)/build.ninja:
	@$(MESON) setup $(BUILD) --buildtype=release -Ddebug=true >$(BUILD).log 2>&1 || \
	    { cat $(BUILD).log; rm -f $(BUILD).log; exit 1; }
	@rm -f $(BUILD).log

# What the pages are built with may have come only now: a build set up without it looks again, once.
$(BUILD)/.with-web: | .deps-run $(BUILD)/build.ninja
	@if [ -e web/node_modules/.installed-lock.json ]; then \
	    $(MESON) setup --reconfigure $(BUILD) >/dev/null && touch $@; fi

.PHONY: .deps-run .deps-test .deps-lint .deps-bench
.deps-run .deps-test .deps-lint .deps-bench: .deps-%:
	@scripts/install-deps $*

run: build
	@case $$DIR in '~/'*) DIR=$$HOME/$${DIR#'~/'} ;; esac; \
	    exec $(BUILD)/leat serve $(ARGS) "$$DIR"

# What the tests need may have come only now: a build set up before that has to look again, once.
$(BUILD)/.with-tests: | .deps-test $(BUILD)/build.ninja
	@$(MESON) setup --reconfigure $(BUILD) >/dev/null
	@touch $@

test: .deps-test $(BUILD)/.with-tests build
	@$(PYTHON) tests/run.py --build-dir $(BUILD)

test-all: .deps-test $(BUILD)/.with-tests build
	@$(PYTHON) tests/run.py --build-dir $(BUILD) --long

# As for the tests: the messages' libraries may have come only now.
$(BUILD)/.with-bench: | .deps-bench $(BUILD)/build.ninja
	@$(MESON) setup --reconfigure $(BUILD) >/dev/null
	@touch $@

bench: .deps-bench $(BUILD)/.with-bench build
	@bench/run --build $(BUILD) $(ARGS)

sim: $(BUILD)/.with-tests build
	@$(PYTHON) tests/run.py --build-dir $(BUILD) --only sim --seeds $(SEEDS)

fuzz: .deps-test
	@scripts/fuzz $(SECONDS)

lint: .deps-lint
	@scripts/lint $(if $(TIDY),--tidy)

coverage: .deps-test
	@scripts/coverage

install: build
	@$(MESON) configure $(BUILD) -Dprefix=$(PREFIX)
	@ninja -C $(BUILD) --quiet
	@$(MESON) install -C $(BUILD) --no-rebuild $(if $(DESTDIR),--destdir "$$DESTDIR")

clean:
	rm -rf build build-*
