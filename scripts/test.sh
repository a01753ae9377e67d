#!/usr/bin/env bash
set -eu
cd "$(dirname "$0")/.."
cmake --preset release
cmake --build --preset release
ctest --test-dir build --output-on-failure
