#!/usr/bin/env bash
# Only the durable receiver, for a benchmark: any called AE title, this host allowed.
#   bench/receiver.sh PORT DIR
set -euo pipefail
cd "$(dirname "$0")/.."
exec .venv/bin/python -m bench.receiver "$1" "$2"
