# SPDX-License-Identifier: GPL-3.0-or-later
# `make help` lists the targets; each is one line here and one command inside.
.DEFAULT_GOAL := help
SHELL := /bin/bash

BASELINE ?= 6.1
BASELINES := 6.1 6.12
CONFIG ?= lab
# one more of kernel/config, such as debug; and how many patches of the series, 0 for Debian's kernel:
# either goes to a folder of its own, as hosts get what lies in build/kernel/<baseline>
FRAGMENT ?=
PATCHES ?= all
# of kernel-stress: how much, and which operations again
OPS ?= 1000000
ROUNDS ?= 100000
SEED ?=
# of test-faults: these, not all
ONLY ?=
# of test-power-cuts: vm or controller
KILL ?= vm
# of kernel-rebase: a version or a file instead of apt's candidate; then continue, and export
VERSION ?=
SOURCE ?=
STEP ?=
INVENTORY ?= build/lab/demo/inventory.yml

VENV := .venv
BIN := $(VENV)/bin
ANSIBLE := $(BIN)/ansible-playbook
# a build needs no host; an inventory, where there is one, may still set its variables
BUILD = $(ANSIBLE) -i $(or $(wildcard inventory),/dev/null) playbooks/build.yml \
	-e kernel_build_baseline=$(BASELINE) -e kernel_build_config=$(CONFIG)
empty :=
space := $(empty) $(empty)
OTHER_SERIES := $(patsubst p0,stock,$(addprefix p,$(filter-out all,$(PATCHES))))
KERNEL := $(subst $(space),-,$(strip $(BASELINE) $(FRAGMENT) $(OTHER_SERIES)))
export PATH := $(CURDIR)/$(BIN):$(PATH)
export ANSIBLE_HOME := $(CURDIR)/.ansible
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg

.PHONY: help demo test test-fast test-molecule lint unit kernel kernel-test kernel-bisect \
	kernel-stress kernel-selftests kernel-reproduce kernel-rebase views bench test-faults test-power-cuts lab-up lab-down deps venv lock collection \
	clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

demo: venv ## The main job on two lab VMs: build, trial boot, views, verify, read
	python -m bpfview_fleet.lab --lab demo up
	$(ANSIBLE) -i $(INVENTORY) deploy.yml
	fab read memory --cgroup system.slice --inventory $(INVENTORY)
	fab read cpu --cgroup system.slice --inventory $(INVENTORY)
	fab read tasks --cgroup system.slice --inventory $(INVENTORY)
	@cat docs/demo.txt

test: test-fast test-molecule ## Everything: lint, unit, kernel boot test, VM scenarios

test-fast: lint unit kernel-test ## Lint, unit tests and the kernel boot test

lint: venv ## ruff, mypy, yamllint, ansible-lint, shellcheck
	ruff check .
	ruff format --check .
	mypy
	yamllint --strict .
	ansible-lint --offline --strict
	shellcheck tools/install-debian-packages .ci/run bpfview_fleet/lab/rootfs/usr/lib/lab-vm/* kernel/selftests/init

unit: venv ## Unit tests
	python -m pytest tests/unit

kernel views: export ANSIBLE_LOCALHOST_WARNING := false
kernel views: export ANSIBLE_INVENTORY_UNPARSED_WARNING := false

kernel: venv ## Build the kernel of BASELINE (6.1) with CONFIG (lab, distro or a file) [FRAGMENT, PATCHES]
	$(BUILD) --tags kernel_build -e kernel_build_patches=$(PATCHES) \
		-e kernel_build_output_dir=$(CURDIR)/build/kernel/$(KERNEL) \
		$(if $(FRAGMENT),-e '{"kernel_build_config_fragments": ["$(CURDIR)/kernel/config/$(FRAGMENT).config"]}')

views: venv ## Build the views against the kernel of BASELINE
	$(BUILD)

kernel-test: $(addprefix kernel-test-,$(BASELINES)) ## Boot each baseline's kernel directly and check its behaviour, rule by rule

kernel-test-%: venv
	$(MAKE) --no-print-directory kernel BASELINE=$* FRAGMENT= PATCHES=all
	python -m bpfview_fleet.boottest --baseline $*

# both baselines, unless one is named
kernel-bisect: $(addprefix kernel-bisect-,$(if $(filter file,$(origin BASELINE)),$(BASELINES),$(BASELINE))) ## Build and boot a small kernel after each patch of the series [BASELINE]

kernel-bisect-%: venv
	python -m bpfview_fleet.bisect_series --baseline $*

kernel-stress: $(addprefix kernel-stress-,$(if $(filter file,$(origin BASELINE)),$(BASELINES),$(BASELINE))) ## Random operations on the debug and KCSAN kernels, rounds on the plain one [BASELINE, OPS, ROUNDS, SEED]

kernel-stress-%: venv
	$(MAKE) --no-print-directory kernel BASELINE=$* FRAGMENT=debug PATCHES=all
	$(MAKE) --no-print-directory kernel BASELINE=$* FRAGMENT=kcsan PATCHES=all
	$(MAKE) --no-print-directory kernel BASELINE=$* FRAGMENT= PATCHES=all
	python -m bpfview_fleet.stress --baseline $* --fragment debug --ops $(OPS) $(if $(SEED),--seed $(SEED))
	python -m bpfview_fleet.stress --baseline $* --fragment kcsan --ops $$(($(OPS) / 4)) $(if $(SEED),--seed $(SEED))
	python -m bpfview_fleet.stress --baseline $* --rounds $(ROUNDS)

kernel-selftests: $(addprefix kernel-selftests-,$(if $(filter file,$(origin BASELINE)),$(BASELINES),$(BASELINE))) ## The kernel's own tests on the stock and the patched kernel, side by side [BASELINE]

kernel-selftests-%: venv
	$(MAKE) --no-print-directory kernel BASELINE=$* FRAGMENT=selftests PATCHES=0
	$(MAKE) --no-print-directory kernel BASELINE=$* FRAGMENT=selftests PATCHES=all
	python -m bpfview_fleet.selftests --baseline $*

kernel-reproduce: kernel ## Build the kernel again, elsewhere and otherwise, and compare bit by bit [BASELINE, CONFIG, FRAGMENT, PATCHES]
	python -m bpfview_fleet.kernel_reproduce --baseline $(BASELINE) --config $(CONFIG) --patches $(PATCHES) \
		$(if $(FRAGMENT),--fragment kernel/config/$(FRAGMENT).config)

kernel-rebase: venv ## Whether the series fits a newer source; a tree to mend where not [BASELINE, VERSION, SOURCE, STEP]
	python -m bpfview_fleet.kernel_rebase --baseline $(BASELINE) $(if $(STEP),--$(STEP)) \
		$(if $(VERSION),--version $(VERSION)) $(if $(SOURCE),--source $(SOURCE))

bench: $(addprefix bench-kernels-,$(if $(filter file,$(origin BASELINE)),$(BASELINES),$(BASELINE))) ## What views cost, as ratios: writes docs/bench.md; prints that of one BASELINE
	python -m bpfview_fleet.bench $(patsubst bench-kernels-%,--baseline %,$^) \
		$(if $(filter file,$(origin BASELINE)),--page docs/bench.md)

bench-kernels-%: venv
	$(MAKE) --no-print-directory kernel BASELINE=$* FRAGMENT= PATCHES=0
	$(MAKE) --no-print-directory kernel BASELINE=$* FRAGMENT= PATCHES=all

test-molecule: kernel ## Deploy, reboot, remove on real VMs with a boot loader
	molecule test --all

test-faults: kernel ## Bad kernels, power cuts and a killed control node on a VM: writes docs/faults.md [ONLY="sshd panic"]
	$(MAKE) --no-print-directory kernel BASELINE=6.12
	python -m bpfview_fleet.faults $(if $(ONLY),--only $(ONLY),--page docs/faults.md)

test-power-cuts: kernel ## Cut the VM's power, or kill the control node, at random moments of deployments [ROUNDS=20, SEED, KILL=vm]
	python -m bpfview_fleet.faults.power_cuts --rounds $(if $(filter file,$(origin ROUNDS)),20,$(ROUNDS)) \
		--kill $(KILL) $(if $(SEED),--seed $(SEED))

lab-up: venv ## Start the two lab VMs of the demo without deploying anything
	python -m bpfview_fleet.lab --lab demo up

lab-down: venv ## Stop the lab VMs of the demo and delete their disks
	python -m bpfview_fleet.lab --lab demo down

deps: ## Install the Debian packages of debian-packages.txt that are missing
	@tools/install-debian-packages debian-packages.txt

venv: deps $(VENV)/.made ## Make the Python environment .venv from requirements.txt

$(VENV)/.made: requirements.txt
	/usr/bin/python3 -m venv $(VENV)
	$(BIN)/pip install --quiet --quiet --disable-pip-version-check --requirement requirements.txt
	touch $@

lock: deps ## Renew requirements.txt from requirements.in
	/usr/bin/python3 -m venv --clear build/lock
	build/lock/bin/pip install --quiet --requirement requirements.in
	build/lock/bin/pip freeze --quiet > requirements.txt
	rm -r build/lock

collection: venv ## Build the installable collection bpfview.fleet into build/
	$(BIN)/ansible-galaxy collection build --force --output-path build .

clean: ## Stop every lab and delete what this checkout made (the shared cache stays)
	/usr/bin/python3 -m bpfview_fleet.lab down --all
	rm -rf build .ansible .mypy_cache .ruff_cache .pytest_cache $(VENV)
