#!/usr/bin/env bash
# The crate must compile for Windows. zig stands in for the C compiler that ring's build asks for.
set -euo pipefail
cd "$(dirname "$0")/.."

target=x86_64-pc-windows-gnu
if ! rustup target add "$target" 2>/dev/null; then
  echo "Windows: skipped, rustup can't fetch $target"
  exit 0
fi
export CC_x86_64_pc_windows_gnu="$PWD/.venv/bin/python -m ziglang cc -target x86_64-windows-gnu"
export AR_x86_64_pc_windows_gnu="$PWD/.venv/bin/python -m ziglang ar"
cargo check --locked --quiet --features python --target "$target"
