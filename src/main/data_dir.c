#include "main/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "base/limits.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "os/os_fs.h"
#include "token/token.h"

enum { PEM_BYTES_MAX = 64 * 1024, DAYS_LEAF = 365, DAYS_LEFT_MIN = 30 };
enum { LOCK_ATTEMPTS = 200, LOCK_PAUSE_MS = 10 };

static int complain(struct arena *a, struct span *detail, const char *what, const char *path,
                    int code)
{
    *detail = arena_printf(a, "%s %s: %s", what, path, code_text(code));
    return -1;
}

/* Who has written into the lock that it is his; empty: nobody. */
static struct span holder(struct arena *a, int fd)
{
    char pid[32];
    ssize_t n = pread(fd, pid, sizeof pid, 0);
    return arena_dup(a, span_trim(span_of(pid, n > 0 ? (size_t)n : 0)));
}

static bool is_alive(struct span pid)
{
    int64_t number = 0;
    return !span_to_i64(pid, &number) || number <= 0 || number > INT32_MAX ||
           kill((pid_t)number, 0) == 0 || errno != ESRCH;
}

/* A server that was killed while it started a program leaves a child that has the lock, too, until
 * it has become that program: it is waited for. */
static bool take_lock(struct arena *a, int fd)
{
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
        if (i == LOCK_ATTEMPTS || is_alive(holder(a, fd))) {
            return false;
        }
        (void)poll(NULL, 0, LOCK_PAUSE_MS);
    }
    return true;
}

int data_dir_lock(struct arena *a, struct span data_dir, struct span *ret_detail)
{
    assert(ret_detail);
    const char *dir = arena_cstr(a, data_dir);
    int code = os_fs_mkdirs(dir, 0700);
    if (code < 0) {
        return complain(a, ret_detail, "cannot make the data directory", dir, code);
    }
    const char *path = arena_printf(a, "%s/lock", dir).p;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return complain(a, ret_detail, "cannot open", path, -errno);
    }
    if (!take_lock(a, fd)) {
        struct span who = holder(a, fd);
        *ret_detail =
            arena_printf(a,
                         "the data directory %s is in use by another berth%s%.*s: stop it "
                         "with `berth stop --data-dir %s`, or give another --data-dir",
                         dir, who.n ? ", process " : "", SPAN_ARG(who), dir);
        (void)close(fd);
        return -1;
    }
    char pid[32];
    int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    (void)!ftruncate(fd, 0);
    (void)!pwrite(fd, pid, (size_t)n, 0);
    return fd;
}

/* ---- certificates ---- */

static bool load_pair(struct arena *a, const char *dir, const char *name, struct tls_pair *ret)
{
    return os_fs_read(a, AT_FDCWD, arena_printf(a, "%s/%s.crt", dir, name).p, PEM_BYTES_MAX,
                      &ret->cert_pem) == 0 &&
           os_fs_read(a, AT_FDCWD, arena_printf(a, "%s/%s.key", dir, name).p, PEM_BYTES_MAX,
                      &ret->key_pem) == 0;
}

/* The key first: a certificate without its key would be taken for whole. */
static int save_pair(struct arena *a, const char *dir, const char *name,
                     const struct tls_pair *pair)
{
    int code =
        os_fs_write_atomic(arena_printf(a, "%s/%s.key", dir, name).p, pair->key_pem, 0600, true);
    return code < 0 ? code
                    : os_fs_write_atomic(arena_printf(a, "%s/%s.crt", dir, name).p, pair->cert_pem,
                                         0644, true);
}

static int ensure_leaf(struct arena *a, const char *dir, const char *name,
                       const struct tls_pair *ca, const struct tls_leaf *leaf, int64_t now_ms,
                       struct tls_pair *ret)
{
    if (load_pair(a, dir, name, ret) && tls_leaf_fits(a, ca, ret, leaf, now_ms, DAYS_LEFT_MIN)) {
        return 0;
    }
    int code = tls_make_leaf(a, ca, leaf, now_ms, ret);
    return code < 0 ? code : save_pair(a, dir, name, ret);
}

static int server_leaf(struct arena *a, const struct options *o, struct span gateway,
                       struct span service_ip, const char *dir, int64_t now_ms,
                       struct data_dir_pki *pki)
{
    const struct span dns[] = {
        SPAN("localhost"),
        SPAN("kubernetes"),
        SPAN("kubernetes.default"),
        SPAN("kubernetes.default.svc"),
        arena_printf(a, "kubernetes.default.svc.%.*s", SPAN_ARG(o->cluster_domain)),
        o->node_name};
    struct span ips[5] = {SPAN("127.0.0.1"), SPAN("::1")};
    size_t n = 2;
    if (!span_eq(o->bind_address, ips[0]) && !span_eq(o->bind_address, ips[1]) &&
        !span_eq(o->bind_address, SPAN("0.0.0.0")) && !span_eq(o->bind_address, SPAN("::"))) {
        ips[n++] = o->bind_address;
    }
    if (gateway.n) {
        ips[n++] = gateway;
    }
    if (service_ip.n) {
        ips[n++] = service_ip;
    }
    const struct tls_leaf leaf = {.common_name = SPAN("berth"),
                                  .dns = dns,
                                  .dns_count = sizeof dns / sizeof *dns,
                                  .ips = ips,
                                  .ip_count = n,
                                  .is_server = true,
                                  .valid_days = DAYS_LEAF};
    return ensure_leaf(a, dir, "server", &pki->ca, &leaf, now_ms, &pki->server);
}

/* Made once: with another authority every kubeconfig that was given out would be worth nothing. A
 * key alone is what a start left that ended half way: nobody has been given anything by then. */
static int authority(struct arena *a, const char *dir, int64_t now_ms, struct tls_pair *ret,
                     struct span *ret_detail)
{
    const char *wrong = "ca.key is missing";
    struct span text;
    if (load_pair(a, dir, "ca", ret)) {
        struct tls_pair trial;
        const struct tls_leaf leaf = {.common_name = SPAN("trial"), .valid_days = 1};
        if (tls_make_leaf(a, ret, &leaf, now_ms, &trial) == 0) {
            return 0;
        }
        wrong = "they are no certificate and private key as PEM that belong together";
    } else if (os_fs_read(a, AT_FDCWD, arena_printf(a, "%s/ca.crt", dir).p, PEM_BYTES_MAX, &text) ==
               -ENOENT) {
        int code = tls_make_ca(a, SPAN("berth-ca"), now_ms, ret);
        code = code < 0 ? code : save_pair(a, dir, "ca", ret);
        return code < 0 ? complain(a, ret_detail, "cannot make the certificates in", dir, code) : 0;
    }
    *ret_detail = arena_printf(a,
                               "the authority %s/ca.crt and ca.key cannot be used: %s; put the "
                               "right files there, or remove both, and all kubeconfigs that were "
                               "given out end",
                               dir, wrong);
    return -1;
}

/* Made once: with another key every token that was given out would be worth nothing. */
static int accounts_key(struct arena *a, const char *dir, struct span *ret, struct span *ret_detail)
{
    const char *path = arena_printf(a, "%s/accounts.key", dir).p;
    int code = os_fs_read(a, AT_FDCWD, path, PEM_BYTES_MAX, ret);
    if (code == -ENOENT) {
        code = token_key_make(a, ret);
        code = code < 0 ? code : os_fs_write_atomic(path, *ret, 0600, true);
    }
    if (code < 0) {
        return complain(a, ret_detail, "cannot load or make", path, code);
    }
    struct token_key *key = token_key_load(*ret);
    token_key_free(key);
    if (!key) {
        *ret_detail = arena_printf(a,
                                   "%s is no private key of the curve P-256 as PEM: put the right "
                                   "file there, or remove it, and all tokens of service accounts "
                                   "that were given out end",
                                   path);
    }
    return key ? 0 : -1;
}

int data_dir_pki(struct arena *a, const struct options *o, struct span gateway,
                 struct span service_ip, int64_t now_ms, struct data_dir_pki *ret,
                 struct span *ret_detail)
{
    assert(ret_detail);
    const char *dir = arena_printf(a, "%.*s/tls", SPAN_ARG(o->data_dir)).p;
    int code = os_fs_mkdirs(dir, 0700);
    if (code == 0 && authority(a, dir, now_ms, &ret->ca, ret_detail) < 0) {
        return -1;
    }
    code = code < 0 ? code : server_leaf(a, o, gateway, service_ip, dir, now_ms, ret);
    static const struct span masters[] = {SPAN("system:masters")};
    const struct tls_leaf admin = {.common_name = SPAN("berth-admin"),
                                   .orgs = masters,
                                   .org_count = 1,
                                   .valid_days = DAYS_LEAF};
    code = code < 0 ? code : ensure_leaf(a, dir, "admin", &ret->ca, &admin, now_ms, &ret->admin);
    return code < 0 ? complain(a, ret_detail, "cannot load or make the certificates in", dir, code)
                    : accounts_key(a, dir, &ret->accounts_key, ret_detail);
}

/* ---- kubeconfig ---- */

struct span data_dir_url(struct arena *a, const struct options *o)
{
    assert(a);
    struct span host = o->bind_address;
    if (span_eq(host, SPAN("0.0.0.0")) || span_eq(host, SPAN("::"))) {
        host = SPAN("127.0.0.1");
    }
    bool v6 = span_find(host, ':') < host.n;
    return arena_printf(a, "https://%s%.*s%s:%u", v6 ? "[" : "", SPAN_ARG(host), v6 ? "]" : "",
                        o->https_listen_port);
}

static struct span kubeconfig(struct arena *a, const struct options *o, const struct tls_pair *ca,
                              struct span user, const struct tls_pair *pair)
{
    /* A JSON text is one in YAML, too. */
    struct span name = json_write_mut(
        a, json_new_str(json_mut_new(a), json_clean_text(a, user, LIMIT_CERTIFICATE_NAME_BYTES)));
    return arena_printf(
        a,
        "apiVersion: v1\nkind: Config\ncurrent-context: berth\n"
        "clusters:\n- name: berth\n  cluster:\n    server: %.*s\n    certificate-authority-data: "
        "%.*s\n"
        "users:\n- name: %.*s\n  user:\n    client-certificate-data: %.*s\n    "
        "client-key-data: %.*s\n"
        "contexts:\n- name: berth\n  context:\n    cluster: berth\n    user: %.*s\n",
        SPAN_ARG(data_dir_url(a, o)), SPAN_ARG(base64(a, ca->cert_pem)), SPAN_ARG(name),
        SPAN_ARG(base64(a, pair->cert_pem)), SPAN_ARG(base64(a, pair->key_pem)), SPAN_ARG(name));
}

int data_dir_kubeconfig(struct arena *a, const struct options *o, const struct data_dir_pki *pki,
                        struct span *ret_detail)
{
    struct span text = kubeconfig(a, o, &pki->ca, SPAN("berth-admin"), &pki->admin);
    const char *path = arena_cstr(a, o->write_kubeconfig);
    struct span old;
    if (os_fs_read(a, AT_FDCWD, path, PEM_BYTES_MAX, &old) == 0 && span_eq(old, text)) {
        return 0;
    }
    int code = os_fs_write_atomic(path, text, 0600, false);
    return code < 0 ? complain(a, ret_detail, "cannot write the kubeconfig", path, code) : 0;
}

int data_dir_user(struct arena *a, const struct options *o, struct span user,
                  const struct span *groups, size_t group_count, int64_t now_ms,
                  struct span *ret_text, struct span *ret_detail)
{
    const char *dir = arena_printf(a, "%.*s/tls", SPAN_ARG(o->data_dir)).p;
    struct tls_pair ca, pair;
    if (!load_pair(a, dir, "ca", &ca)) {
        *ret_detail =
            arena_printf(a,
                         "cannot read the authority %s/ca.key: only root can, once `berth "
                         "server --data-dir %.*s` has made it",
                         dir, SPAN_ARG(o->data_dir));
        return -1;
    }
    const struct tls_leaf leaf = {
        .common_name = user, .orgs = groups, .org_count = group_count, .valid_days = DAYS_LEAF};
    int code = tls_make_leaf(a, &ca, &leaf, now_ms, &pair);
    if (code < 0) {
        return complain(a, ret_detail, "cannot sign a certificate with", dir, code);
    }
    *ret_text = kubeconfig(a, o, &ca, user, &pair);
    return 0;
}
