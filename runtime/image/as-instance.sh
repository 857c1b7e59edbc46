#!/bin/bash
# Runs a program of an instance, as its own user. Node looks for a compile cache by the user that it runs as, and that of
# the image was made by another one.
cache=/tmp/compile-cache
mkdir -p "$cache"
for made in "$NODE_COMPILE_CACHE"/*; do ln -sfn "$made" "$cache/$(basename "${made%-*}")-$(id -u)"; done
NODE_COMPILE_CACHE=$cache exec "$@"
