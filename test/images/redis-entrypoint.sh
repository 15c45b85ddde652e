#!/bin/sh
# Options or a configuration file alone mean redis-server; the server runs as user redis; without a configuration it listens to everybody, as
# the official image does.
set -e
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then
    set -- redis-server "$@"
fi
if [ "$1" = redis-server ]; then
    case " $* " in *.conf\ *|*--protected-mode*) ;; *) set -- "$@" --protected-mode no ;; esac
    if [ "$(id -u)" = 0 ]; then
        find . \! -user redis -exec chown redis '{}' +
        exec /usr/bin/setpriv --reuid=redis --regid=redis --clear-groups -- "$@"
    fi
fi
exec "$@"
