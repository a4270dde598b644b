#!/bin/sh
# Copies the scripts and templates of a node from deploy/compose, where they live, to
# where Kustomize may read them. A test compares them.
set -eu
cd "$(dirname "$0")"
for base in redis cluster; do
	mkdir -p "base/$base/set"
	sed -n 's|^ *- set/||p' "base/$base/kustomization.yaml" | while read -r file; do
		from=../compose/set/$file
		[ -e "$from" ] || from=pod/$file
		cp "$from" "base/$base/set/"
	done
done
