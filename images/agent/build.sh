#!/bin/bash
# Builds the agent's container image: build.sh --out FILE.tar [--binary BIN] [--netboot DIR]
exec "$(dirname "$0")/../container.sh" --component agent "$@"
