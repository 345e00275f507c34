# SPDX-License-Identifier: Apache-2.0
#
# Everything that people and CI do with this repository. `./just` runs it without anything installed.

set shell := ["bash", "-euo", "pipefail", "-c"]

# The conformance vectors are no part of the project: where they lie is told by SEALWATCH_VECTORS, else they are looked
# for beside the checkout. Tests that need them and find none say so with a line "SKIPPED: …".
beside := justfile_directory() / "../shared/vectors"
vectors_folder := env("SEALWATCH_VECTORS", if path_exists(beside) == "true" { canonicalize(beside) } else { "" })
with_vectors := if vectors_folder == "" { "" } else { "SEALWATCH_VECTORS=" + quote(vectors_folder) }

# Show this list
[private]
default:
    @{{ quote(just_executable()) }} --list --unsorted

[private]
needs:
    @dev/needs

# Everything that must hold before a change goes in; ends with one line of counts
[group('all of it')]
test:
    @{{ with_vectors }} dev/test-all

# Watch Sealwatch at work: a real control plane and registry, real signatures, verdicts
[group('all of it')]
demo: needs (tools "kube" "notation" "olareg")
    cargo build --locked -p sealwatch -p sealwatch-e2e --bins
    cargo run --quiet --locked -p sealwatch-e2e --bin demo

# Build the programs (debug)
[group('build')]
build:
    cargo build --locked --workspace --bins

# Build the program optimised, for this machine: target/release/sealwatch
[group('build')]
program:
    cargo build --locked --release -p sealwatch

# Make the container image as an OCI layout in FOLDER, without Docker; the last line is its digest
[group('build')]
image folder="build/image":
    @dev/image {{ quote(folder) }}

# Make the image twice, in different folders, and compare: byte for byte. The last line is the digest of both
[group('build')]
image-twice *folder:
    @dev/image-twice {{ folder }}

# Run the programs in the image, and let them verify it: signed by notation, in a registry, as a layout, in a cluster
[group('test')]
image-e2e folder="build/image": needs (tools "kube" "notation" "olareg")
    @dev/image-e2e {{ quote(folder) }}

# Install what building for linux/amd64 and linux/arm64 takes (rustup; root or sudo for Debian's or Ubuntu's packages)
[group('build')]
cross:
    @dev/cross

# Build the pinned test tools into the user's cache: kube notation olareg distribution oracle helm flux
[group('build')]
tools *names="kube notation olareg distribution oracle helm flux":
    @e2e/tools/build {{ names }} >/dev/null

# Unit tests and vectors of all crates; no network. ARGS go to cargo test
[group('test')]
unit *args:
    {{ with_vectors }} cargo test --locked --workspace --exclude sealwatch-e2e --exclude sealwatch-conformance {{ args }}

# Ask notation-go too: a generated grid and 120,000 mutations, some minutes. ARGS: --mutations N --seed N
[group('test')]
conformance *args: needs (tools "oracle")
    cargo run --quiet --locked -p sealwatch-conformance --bin conformance -- run {{ args }}

# The conformance vectors only (their folder: SEALWATCH_VECTORS)
[group('test')]
vectors:
    {{ with_vectors }} cargo test --locked --workspace --exclude sealwatch-e2e --test 'vectors*' -- --show-output

# Tests against a real control plane, real registries and notation. ARGS go to cargo test
[group('test')]
e2e *args: needs (tools "kube" "notation" "olareg" "distribution" "helm" "flux")
    cargo build --locked -p sealwatch
    {{ with_vectors }} cargo test --locked -p sealwatch-e2e {{ args }}

# The chart and the image on a real kubelet (root; e2e/README.md). LAYOUT: an image of `./just image`, else a debug build
[group('test')]
e2e-node layout="": needs
    @dev/e2e-node {{ if layout == "" { "" } else { quote(layout) } }}

# Open the page of `sealwatch scan -o html` in headless Chromium; pictures and print stay in build/scan-report
[group('test')]
scan-report: needs (tools "kube" "notation" "olareg")
    cargo build --locked -p sealwatch
    cargo test --locked -p sealwatch-e2e --test scan page:: -- --show-output
    @ls build/scan-report

# Keep the tests' control plane up until Ctrl-D; tests started meanwhile use it
[group('test')]
cluster: needs (tools "kube")
    @echo "its supervisor's process id, its address and its kubeconfig follow; Ctrl-D ends it" >&2
    cargo run --quiet --locked -p sealwatch-e2e --bin testenv-supervisor -- hold

# Speed of crates/notation: instructions (needs valgrind) and times; writes bench/core.md
[group('bench')]
bench-core:
    @dev/bench-core

# What the operator takes at the size of Azure IoT Operations, SECONDS long; a release build. Writes bench/operator.md
[group('bench')]
measure seconds="600": needs (tools "kube" "notation" "olareg")
    cargo build --locked --release -p sealwatch
    cargo build --locked -p sealwatch-e2e --bins
    SEALWATCH_BIN={{ quote(justfile_directory() / "target/release/sealwatch") }} target/debug/measure {{ seconds }} bench/operator.md

# `sealwatch scan` of 30 and 1,000 images, or of COUNTS, beside a loop over `notation verify`; writes bench/scan.md
[group('bench')]
bench-scan *counts: needs (tools "kube" "notation" "olareg")
    @dev/bench-scan {{ counts }}

# Take rules of Notation out, one after the other, and see their tests fail. WORDS choose (a rule, a file)
[group('test')]
mutants *words:
    @dev/mutants {{ words }}

# Format everything
[group('check')]
fmt:
    cargo fmt --all

# Formatting and clippy, warnings are errors
[group('check')]
lint:
    cargo fmt --all --check
    cargo fmt --manifest-path fuzz/Cargo.toml --check
    cargo clippy --locked --workspace --all-targets -- -D warnings

# Fuzz every target, or those named, for so many SECONDS each (needs a nightly toolchain; fuzz/README.md)
[group('check')]
fuzz seconds="30" *targets:
    @dev/fuzz {{ seconds }} {{ targets }}

# Count instructions for each byte of input, over worst cases, seeds and what fuzzing found (needs valgrind)
[group('check')]
fuzz-work:
    cargo build --quiet --locked --release --manifest-path fuzz/Cargo.toml --target-dir build/fuzz/stable --example work
    @build/fuzz/stable/release/examples/work build/fuzz/corpus

# Licences, bans and sources of the dependencies
[group('check')]
deny:
    @dev/deny

# Documentation of all crates, warnings are errors; target/doc/sealwatch/index.html
[group('check')]
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

# Write what is generated and committed: CRDs (config, chart), docs/{reasons,api,metrics,conformance,attacks,install,limits}.md, fixtures
[group('generate')]
generate:
    cargo run --quiet --locked -p sealwatch-api --example crds config/crd
    cargo run --quiet --locked -p sealwatch-api --example crds charts/sealwatch/files/crds
    dev/values-table charts/sealwatch/values.yaml docs/install.md
    dev/limits-table docs/limits.md
    cargo run --quiet --locked -p sealwatch-api --example reference docs
    cargo run --quiet --locked -p sealwatch-operator --example metrics docs
    cargo run --quiet --locked -p sealwatch-fixtures --example generate fixtures
    cargo run --quiet --locked -p sealwatch-conformance --bin rules docs

# Play the documentation and write what its commands print into its pages; read the difference before you commit it
[group('generate')]
record-docs: needs (tools "kube" "notation" "olareg" "helm")
    cargo build --locked -p sealwatch
    SEALWATCH_RECORD_DOCS=all cargo test --locked -p sealwatch-e2e --test docs

# Fail if what is generated and committed is out of date
[group('generate')]
generated-check:
    @dev/generated-check

# Make everything of a release in build/release; nothing is pushed. ARGS: --dry-run --image REPOSITORY
[group('release')]
release *args:
    @dev/release {{ args }}

# Whether this commit can be released: version, clean tree, CHANGELOG, tag. ARGS: --dry-run
[group('release')]
release-check *args:
    @dev/release-check {{ args }}

# Keep the definitions of both kinds as this version has them, for the upgrade tests of later ones
[group('release')]
release-keep:
    @dev/release-keep

# Draft the release's page on GitHub with the files that `just release` made (needs gh)
[group('release')]
release-draft:
    @dev/release-draft

# Remove what was built here; the tools in the user's cache stay
[group('build')]
clean:
    cargo clean
    rm -rf build
