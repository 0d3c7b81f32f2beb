#!/usr/bin/env bash
# On a fresh Debian 12: installs the packages, builds, classifies and explains the sample photo.
set -euo pipefail
cd "$(dirname "$0")"

tools/install_packages.sh build
mkdir -p build
cmake --preset release >build/configure.log || { cat build/configure.log; exit 1; }
cmake --build --preset release

dermlens=build/release/dermlens
photo=samples/sample.jpg
overlay=build/sample-overlay.png
echo
echo "\$ $dermlens classify $photo"
"$dermlens" classify "$photo"
echo
echo "\$ $dermlens explain $photo -o $overlay"
"$dermlens" explain "$photo" -o "$overlay"
echo
echo "The heatmap over the photo is in $PWD/$overlay"
