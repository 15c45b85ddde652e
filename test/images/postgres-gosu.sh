#!/bin/bash
# gosu USER[:GROUP] COMMAND...: becomes the user, with its groups, and then the command: no process of its own stays between.
set -eu
user=${1%%:*} group=
case $1 in *:*) group=$(getent group "${1#*:}" | cut -d: -f3) ;; esac
shift
IFS=: read -r _ _ uid gid _ home _ < <(getent passwd "$user")
export HOME=$home
exec /usr/bin/setpriv --reuid="$uid" --regid="${group:-$gid}" --init-groups -- "$@"
