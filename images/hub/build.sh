#!/bin/bash
# Builds the hub's container image: build.sh --out FILE.tar [--binary BIN]
exec "$(dirname "$0")/../container.sh" --component hub "$@"
