#!/bin/bash
# Builds the agent's container image: build.sh --out FILE.tar [--binary BIN | --profile NAME] [--netboot DIR]
exec "$(dirname "$0")/../container.sh" --component agent "$@"
