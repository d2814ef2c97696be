# Every target sets up what it needs; `make` alone lists them.
PYTHON3 ?= /usr/bin/python3
VENV := .venv
BIN := $(VENV)/bin
# Not in the clone: QEMU has to reach the disks, and a clone may lie under /root.
DEMO ?= /var/lib/eucabox-demo

# What the tests start hundreds of times is compiled once.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup setup-test demo stop clean test test-oldest test-fast test-long test-kills test-linear test-power test-attacks test-hours fuzz test-roads test-policies s3-tests lint format screenshots bench man deb rpm wheel test-packages test-xen

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 13

setup: ## install what eucabox runs with and make its virtual environment
	@setup/host.sh packages run
	@setup/venv.sh $(PYTHON3) $(VENV) run

setup-test: setup ## the same for the tests: clients and checkers
	@setup/host.sh packages test
	@setup/venv.sh $(PYTHON3) $(VENV) test

demo: setup ## start a cloud of its own and go from an image to an SSH login
	@setup/host.sh libvirtd
	@$(BIN)/eucabox demo --folder $(DEMO)

stop: ## end the demo's instances, its cloud and its network
	@if [ -x $(BIN)/eucabox ]; then $(BIN)/eucabox demo --folder $(DEMO) --stop; fi

clean: stop ## stop, and remove what the targets made here
	rm -rf $(DEMO) $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache

test: setup-test lint test-oldest ## everything: units, real clients, real guests
	@setup/host.sh libvirtd
	@setup/ansible.sh $(PYTHON3) $(VENV)/ansible
	@command -v npm >/dev/null || setup/host.sh packages policies
	@setup/axe.sh $(VENV)/axe
	@$(BIN)/pytest -n 3 --dist loadfile -m "not live and not alone"
	@$(BIN)/pytest -n 3 --dist loadfile -m "not long and not alone" tests/live
	@$(BIN)/pytest -m "alone and not long" tests/live tests/iam/sign_up

test-long: setup-test ## a whole Debian with cloud-init, booted by BIOS and by UEFI, for minutes
	@setup/host.sh libvirtd
	@$(BIN)/pytest -m long

# What rests on a library whose oldest promised version differs from today's.
OLDEST := wire server console iam actions/iam actions/s3 actions/sts store/test_checksums.py \
    store/test_encrypted_file.py store/test_keyring.py test_api.py test_bucket.py test_state.py \
    test_validation.py test_ground.py test_config.py image/test_seed.py

test-oldest: setup-test ## the units with the oldest libraries promised, Debian 12's
	@setup/oldest.sh $(PYTHON3) $(VENV)/oldest
	@setup/in_memory.sh $(VENV)/oldest/bin/python -m pytest -m "not live and not slow" $(OLDEST:%=tests/%)

test-fast: setup-test ## the quick ones of the unit tests, in a minute
	@setup/in_memory.sh $(BIN)/pytest -m "not slow and not not_fast" --ignore tests/live

# How often, and how many: `make test-kills KILLS=1000`, `make fuzz CASES=1000000 SEED=7`, `make test-roads CASES=5000`,
# `make test-linear OPERATIONS=200000`, `make test-power CUTS=5000`, `make test-policies POLICIES=50000`, how long each attack lasts: `make test-attacks SECONDS=60`,
# which doors odd requests come by: `make fuzz DOORS=ec2,console`, how long: `make test-hours HOURS=4`
KILLS ?= 200
OPERATIONS ?= 20000
CASES ?= 100000
POLICIES ?= 10000
CUTS ?= 500
SEED ?= $(shell date +%s)
SECONDS ?= 20
HOURS ?= 2
DOORS ?= all

test-kills: setup-test ## kill eucabox 200 times under clients and look for what it acknowledged
	@setup/host.sh libvirtd
	@$(BIN)/python -m tests.live.kills --kills $(KILLS) --seed $(SEED)

test-linear: setup-test ## five clients on few keys, with kills: have 20,000 answers one order?
	@setup/host.sh libvirtd
	@$(BIN)/python -m tests.linear --operations $(OPERATIONS) --seed $(SEED)

test-power: setup-test ## cut the power 500 times, on ext4, XFS and Btrfs, and look for what was acknowledged
	@$(BIN)/python -m tests.power --cuts $(CUTS) --relaxed $$(($(CUTS) / 10)) --seed $(SEED)

test-attacks: setup-test ## attack eucabox in 25 ways and tell how long an honest client waits
	@setup/host.sh libvirtd
	@$(BIN)/python -m tests.live.attacks --seconds $(SECONDS)

test-hours: setup-test ## two hours of mixed load: does one process grow, or anything that it keeps?
	@setup/host.sh libvirtd
	@$(BIN)/python -m tests.long_run --hours $(HOURS) --seed $(SEED) --file build/long-run.csv

fuzz: setup-test ## 100,000 odd requests by every door: no 500, no traceback, no growth, none slow
	@$(BIN)/python -m tests.fuzz --cases $(CASES) --seed $(SEED) --doors $(DOORS)

test-roads: setup-test ## 100,000 requests down the straight and the general road to equal buckets: the same?
	@$(BIN)/python -m tests.roads --cases $(CASES) --seed $(SEED)

test-policies: setup-test ## 10,000 random policies, each decided by us and by another evaluator
	@command -v npm >/dev/null || setup/host.sh packages policies
	@setup/iam_simulate.sh $(VENV)/iam-simulate
	@$(BIN)/python -m tests.policies --cases $(POLICIES) --seed $(SEED) $(VENV)/iam-simulate

s3-tests: setup-test ## ceph/s3-tests from the checkout that S3_TESTS= names, compared with docs/
	@test -d "$(S3_TESTS)" || { echo "eucabox: name a checkout: make s3-tests S3_TESTS=/path/to/s3-tests"; exit 2; }
	@setup/host.sh libvirtd
	@setup/s3_tests.sh $(PYTHON3) $(VENV)/s3-tests
	@$(BIN)/python -m tests.conformance.s3_tests "$(S3_TESTS)" --python $(VENV)/s3-tests/bin/python

lint: setup-test ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: setup-test ## let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

screenshots: setup-test ## every page of the console, wide and narrow, light and dark, into build/screenshots
	@setup/host.sh libvirtd
	@$(BIN)/python -m tests.live.screenshots build/screenshots

bench: setup-test ## measure, as ratios beside peers and limits; BENCH=s3 takes one alone
	@setup/host.sh libvirtd
	@setup/bench.sh $(PYTHON3) $(VENV)/bench
	@$(BIN)/python -m bench $(BENCH)

man: setup-test ## write the man pages and the shell completion into build/
	@$(BIN)/python setup/manuals.py build

deb: ## build the deb of HEAD into dist/, and have lintian look at it
	@setup/host.sh packages nspawn
	@setup/deb.sh dist

rpm: setup-test ## build the RPMs of HEAD into dist/, and have rpmlint look at them
	@setup/host.sh packages rpm
	@setup/rpm.sh $(BIN)/python dist

wheel: setup-test ## build sdist and wheel of HEAD into dist/, and have twine check them
	@setup/wheel.sh $(BIN)/python dist

# Which distributions and which packages:
# `make test-packages SUITES=bookworm ROUNDS=tests/packages/test_deb.py`
SUITES ?= bookworm trixie
ROUNDS ?= tests/packages

test-packages: setup-test deb ## install, use, upgrade and remove the packages in distributions that boot
	@setup/host.sh packages nspawn
	@setup/host.sh packages rpm
	@for suite in $(SUITES); do setup/roots.sh $$suite >/dev/null || exit $$?; done
	@EUCABOX_SUITES="$(SUITES)" EUCABOX_DEB="$$(ls $(CURDIR)/dist/eucabox_*.deb)" \
	    $(BIN)/pytest -m packages $(ROUNDS)

# Built from Debian's packages, which takes minutes the first time; later runs go on from a snapshot.
XEN_CACHE := /var/tmp/eucabox-xen

test-xen: setup-test deb ## run guests on a real Xen, in a dom0 that QEMU emulates
	@setup/host.sh packages nspawn
	@setup/xen.sh $(XEN_CACHE)
	@EUCABOX_DEB="$$(ls $(CURDIR)/dist/eucabox_*.deb)" $(BIN)/pytest -m xen --durations=0 -v tests/xen
