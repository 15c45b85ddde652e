#!/bin/bash
# The test image postgres:15 takes what the official one takes: variables, the files they may be kept in, scripts of the first start, other commands.
E2E_IMAGES="busybox postgres"
. "$(dirname "$0")/lib.sh"
start_berth

mkdir "$work/init"
echo 'create table by_sql (n int);' >"$work/init/1.sql"
echo 'create table by_gzip (n int);' | gzip >"$work/init/2.sql.gz"
echo 'psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -c "create table by_script (n int)"' >"$work/init/3.sh"
echo 'nothing' >"$work/init/4.txt"
k create configmap init --from-file="$work/init" >/dev/null
k create secret generic words --from-literal=password='sea: "salt" and $alt' --from-literal=user=pilot >/dev/null
cat >"$work/pods.yaml" <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: whole}
spec:
  containers:
  - name: postgres
    image: postgres:15
    args: [-c, max_connections=42]
    env:
    - {name: POSTGRES_PASSWORD_FILE, value: /run/words/password}
    - {name: POSTGRES_USER_FILE, value: /run/words/user}
    - {name: POSTGRES_DB, value: harbour}
    - {name: POSTGRES_INITDB_ARGS, value: "--data-checksums --encoding=UTF8"}
    - {name: PGDATA, value: /var/lib/postgresql/data/here}
    readinessProbe: {exec: {command: [pg_isready, -h, 127.0.0.1]}, periodSeconds: 1}
    volumeMounts:
    - {name: words, mountPath: /run/words}
    - {name: init, mountPath: /docker-entrypoint-initdb.d}
  volumes:
  - {name: words, secret: {secretName: words}}
  - {name: init, configMap: {name: init}}
---
apiVersion: v1
kind: Pod
metadata: {name: both}
spec:
  restartPolicy: Never
  containers:
  - {name: postgres, image: "postgres:15", env: [{name: POSTGRES_PASSWORD, value: a}, {name: POSTGRES_PASSWORD_FILE, value: /b}]}
---
apiVersion: v1
kind: Pod
metadata: {name: trusting}
spec:
  containers:
  - name: postgres
    image: postgres:15
    securityContext: {runAsUser: 999}
    env: [{name: POSTGRES_HOST_AUTH_METHOD, value: trust}]
    readinessProbe: {exec: {command: [pg_isready, -h, 127.0.0.1]}, periodSeconds: 1}
Y
check 'apply' contains created k apply -f "$work/pods.yaml"
k run bare --image=postgres:15 --restart=Never >/dev/null
k run asks --image=postgres:15 --restart=Never -- postgres --version >/dev/null
k run other --image=postgres:15 --restart=Never -- gosu postgres id -un >/dev/null
check 'without a password it does not start and says what to set' within 20 contains 'You must specify POSTGRES_PASSWORD' k logs bare
check 'a value and a file for it exclude each other' within 20 contains 'both POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE are set' k logs both
check 'a question is answered without a database' within 20 contains 'postgres (PostgreSQL) 15' k logs asks
check 'other commands run as they are' within 20 equal postgres k logs other
check 'with everything set it is Ready' within 40 ready whole
check 'a password is wanted' fails 'no password supplied' k exec whole -- psql -w -h "$(k get pod whole -o 'jsonpath={.status.podIP}')" -U pilot harbour -c 'select 1'
with_password() { k exec whole -- bash -c 'PGPASSWORD=$(cat /run/words/password) psql -h "$(hostname -i)" -U pilot -XAtq harbour -c "$1"' sh "$1"; }
check 'the one of the file is taken' equal 1 with_password 'select 1'
check 'the files of /docker-entrypoint-initdb.d were run in order' equal 'by_gzip by_script by_sql ' bash -c "'$kubectl' exec whole -- psql -U pilot -XAt harbour -c \"select tablename from pg_tables where tablename like 'by_%' order by 1\" | tr '\n' ' '"
check 'another file is passed over' contains 'ignoring /docker-entrypoint-initdb.d/4.txt' k logs whole
check 'arguments are settings' equal 42 k exec whole -- psql -U pilot -XAt harbour -c 'show max_connections'
check 'arguments of initdb too' equal on k exec whole -- psql -U pilot -XAt harbour -c 'show data_checksums'
check 'the data is where PGDATA says' contains 15 k exec whole -- cat /var/lib/postgresql/data/here/PG_VERSION
check 'the server is user 999' equal 999 k exec whole -- stat -c %u /proc/1
check 'the directory is for the user alone' equal 700 k exec whole -- stat -c %a /var/lib/postgresql/data/here
check 'without root and with trust' within 40 ready trusting
check 'nobody is asked' equal 1 k exec trusting -- bash -c 'psql -w -h "$(hostname -i)" -U postgres -XAtc "select 1"'
check 'it warns of that' contains WARNING k logs trusting
k delete pod --all >/dev/null
finish
