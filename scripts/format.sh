#!/usr/bin/env bash
# Formats every C++ source with clang-format, or with --check says which file is not formatted.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v clang-format >/dev/null || { echo "clang-format is missing (Debian: clang-format)" >&2; exit 1; }
options=(-i)
[ "${1:-}" != --check ] || options=(--dry-run -Werror)
git ls-files -z '*.cpp' '*.hpp' '*.h' '*.cu' '*.cuh' | xargs -0 clang-format "${options[@]}"
