#!/usr/bin/env bash
# The layers of docs/architecture.md, held by grep: each line of output is one import that must not be.
set -uo pipefail
cd "$(dirname "$0")/../src"

ground="error.rs clock.rs home.rs database tls auth protocol net http mqtt"
parties="device provisioning service hub"
broken=0

# forbid WHY PATTERN PATH...: no line of these paths that is not a comment may match.
forbid() {
  local why=$1 pattern=$2 found
  shift 2
  found=$(grep -rnE --include='*.rs' "$pattern" "$@" 2>/dev/null | grep -vE '^[^:]+:[0-9]+:\s*//')
  [ -z "$found" ] && return
  printf '%s:\n%s\n' "$why" "$found" >&2
  broken=1
}

into() { echo "\b(crate|ferrohub)::($1)\b"; }

# shellcheck disable=SC2086
forbid "the ground floor knows no party" "$(into "${parties// /|}|cli|python")" $ground
for party in $parties; do
  others=$(tr ' ' '\n' <<<"$parties" | grep -vx "$party" | paste -sd'|')
  forbid "$party imports another party" "$(into "$others|cli|python")" "$party" "$party.rs"
done
forbid "cli imports python" "$(into python)" cli cli.rs
forbid "one module per use, or this script can't see it" 'use crate::\{' .
forbid "pyo3 outside src/python" '\bpyo3\b' $(ls | grep -vx python)
exit "$broken"
