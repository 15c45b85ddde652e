#!/bin/bash
# `make install` puts the program and its unit for systemd below PREFIX, and the unit names what was installed.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
number=0 failed=0
result() { number=$((number + 1)); if [ "$2" = 0 ]; then echo "ok $number - $1"; else echo "not ok $number - $1"; failed=1; fi; }
unit=$dir/usr/lib/systemd/system/berth.service

env -u MAKEFLAGS -u MAKELEVEL make -s -C "$top" install DESTDIR="$dir" PREFIX=/usr >"$dir/out" 2>&1; code=$?
[ $code = 0 ] || sed 's/^/#   /' "$dir/out"
result 'it installs' $code
[ "$(find "$dir" -type f ! -name out | sort)" = "$(printf '%s\n' "$dir/usr/bin/berth" "$unit")" ]; result 'the program and its unit, nothing else' $?
"$dir/usr/bin/berth" version | grep -q '^berth '; result 'the installed program runs' $?
! grep -q '@' "$unit"; result 'nothing in the unit is left to fill in' $?
[ "$(grep -o '[^ =]*/berth ' "$unit" | sort -u)" = '/usr/bin/berth ' ]; result 'it names the installed program' $?
for command in server stop; do
    "$dir/usr/bin/berth" $command --help | grep -q -- ' --data-dir='; result "berth $command takes the option that the unit gives it" $?
done
echo "1..$number"
exit $failed
