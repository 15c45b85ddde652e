#!/bin/bash
# First start: initdb, the role and the database that the environment names, then the files of /docker-entrypoint-initdb.d against a server
# that listens on its socket only. Every start: the server, as user postgres when the container runs as root. Other commands run as they are.
#   POSTGRES_PASSWORD  POSTGRES_USER  POSTGRES_DB  POSTGRES_INITDB_ARGS   each also as NAME_FILE: the file that holds it
#   POSTGRES_INITDB_WALDIR  POSTGRES_HOST_AUTH_METHOD  PGDATA
set -Eeuo pipefail

from_file() { # NAME [DEFAULT]: exports NAME from itself, from the file that NAME_FILE names, or the default
    local file=${1}_FILE value=${2:-}
    if [ -n "${!1:-}" ] && [ -n "${!file:-}" ]; then
        echo "error: both $1 and $file are set (but are exclusive)" >&2
        exit 1
    fi
    if [ -n "${!1:-}" ]; then value=${!1}; elif [ -n "${!file:-}" ]; then value=$(<"${!file}"); fi
    export "$1=$value"
    unset "$file"
}

only_asks() { # whether the server would print something and end
    local a
    for a; do case $a in -'?' | --help | --describe-config | -V | --version) return 0 ;; esac; done
    return 1
}

make_directories() {
    mkdir -p "$PGDATA" && chmod 00700 "$PGDATA" || :
    mkdir -p /var/run/postgresql && chmod 03775 /var/run/postgresql || :
    if [ -n "${POSTGRES_INITDB_WALDIR:-}" ]; then mkdir -p "$POSTGRES_INITDB_WALDIR" && chmod 700 "$POSTGRES_INITDB_WALDIR"; fi
    if [ "$(id -u)" = 0 ]; then
        find "$PGDATA" /var/run/postgresql ${POSTGRES_INITDB_WALDIR:+"$POSTGRES_INITDB_WALDIR"} \! -user postgres -exec chown postgres '{}' +
    fi
}

check_password() {
    if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
        cat >&2 <<'T'
Error: Database is uninitialized and superuser password is not specified.
       You must specify POSTGRES_PASSWORD to a non-empty value for the superuser,
       or POSTGRES_HOST_AUTH_METHOD=trust, which lets everybody in without a
       password and is for no database that matters.
T
        exit 1
    fi
    if [ "$POSTGRES_HOST_AUTH_METHOD" = trust ]; then
        echo 'WARNING: POSTGRES_HOST_AUTH_METHOD is "trust": anyone who reaches the port is a superuser without a password.' >&2
    fi
}

process_sql() { psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password --username "$POSTGRES_USER" "$@"; }

init_files() {
    local f
    for f in /docker-entrypoint-initdb.d/*; do
        case $f in
        *.sh)
            if [ -x "$f" ]; then
                echo "$0: running $f"
                "$f"
            else
                echo "$0: sourcing $f"
                . "$f"
            fi
            ;;
        *.sql) echo "$0: running $f" && process_sql --dbname "$POSTGRES_DB" -f "$f" ;;
        *.sql.gz) echo "$0: running $f" && gunzip -c "$f" | process_sql --dbname "$POSTGRES_DB" ;;
        *.sql.xz) echo "$0: running $f" && xzcat "$f" | process_sql --dbname "$POSTGRES_DB" ;;
        */'*') ;;
        *) echo "$0: ignoring $f" ;;
        esac
        echo
    done
}

first_start() { # the server's arguments
    check_password
    ls /docker-entrypoint-initdb.d/ >/dev/null
    eval 'initdb --username="$POSTGRES_USER" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD") ${POSTGRES_INITDB_WALDIR:+--waldir "$POSTGRES_INITDB_WALDIR"} '"$POSTGRES_INITDB_ARGS"
    printf '\nhost all all all %s\n' "$POSTGRES_HOST_AUTH_METHOD" >>"$PGDATA/pg_hba.conf"
    export PGPASSWORD=${PGPASSWORD:-$POSTGRES_PASSWORD} # what a script that calls psql uses
    shift
    NOTIFY_SOCKET='' pg_ctl -D "$PGDATA" -o "$(printf '%q ' "$@" -c listen_addresses= -p "${PGPORT:-5432}")" -w start
    if [ "$POSTGRES_DB" != postgres ]; then
        process_sql --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db" ;'
        echo
    fi
    init_files
    pg_ctl -D "$PGDATA" -m fast -w stop
    unset PGPASSWORD
    printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

if [ "${1:0:1}" = - ]; then set -- postgres "$@"; fi
if [ "$1" = postgres ] && ! only_asks "$@"; then
    make_directories
    if [ "$(id -u)" = 0 ]; then exec gosu postgres "${BASH_SOURCE[0]}" "$@"; fi
    from_file POSTGRES_PASSWORD
    from_file POSTGRES_USER postgres
    from_file POSTGRES_DB "$POSTGRES_USER"
    from_file POSTGRES_INITDB_ARGS
    : "${POSTGRES_HOST_AUTH_METHOD:=scram-sha-256}"
    if [ -s "$PGDATA/PG_VERSION" ]; then
        printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
    else
        first_start "$@"
    fi
fi
exec "$@"
