#!/bin/bash
# Builds the hub's container image: build.sh --out FILE.tar [--binary BIN | --profile NAME]
exec "$(dirname "$0")/../container.sh" --component hub "$@"
