/* One pull's conversation with a registry, by libcurl's easy interface. */
#include "image/image_registry.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "codec/json.h"
#include "image/image_priv.h"

enum { DOCUMENT_BYTES_MAX = 4 * 1024 * 1024, CONNECT_S = 10, STALL_S = 30, REDIRECTS_MAX = 10 };

struct registry {
    struct arena *a;
    CURL *curl;
    const struct image_pull_options *options;
    struct span base;       /* URL without the last slash */
    struct span repository; /* "library/redis" */
    struct span version;    /* tag or digest */
    struct span token;      /* bearer token, once asked for */
    bool basic;             /* the registry wants the password itself */
    struct span challenge;  /* WWW-Authenticate of the last reply */
    struct strbuf body;
    int fd; /* where a blob goes; -1: body */
    struct span blob;
    uint64_t done, total;
    bool too_large;
    long http;
};

static struct span mirror_of(const struct image_pull_options *o, struct span host)
{
    for (size_t i = 0; i < o->mirror_count; i++) {
        struct span url = o->mirrors[i];
        struct span name = span_cut(&url, '=');
        if (span_eq(name, host) && url.n) {
            while (url.n && url.p[url.n - 1] == '/') {
                url.n--;
            }
            return url;
        }
    }
    return SPAN_NULL;
}

struct registry *registry_new(struct arena *a, struct span ref,
                              const struct image_pull_options *options)
{
    struct registry *r = MEM_NEW(struct registry);
    struct span rest = ref;
    struct span host = span_cut(&rest, '/');
    size_t at = span_find(rest, '@'), colon = span_rfind(rest, ':');
    size_t cut = at < rest.n ? at : colon;
    assert(rest.p);
    assert(cut < rest.n); /* normalised */
    *r = (struct registry){.a = a, .options = options, .fd = -1, .curl = curl_easy_init()};
    assert(r->curl);
    r->repository = span_first(rest, cut);
    r->version = span_from(rest, cut + 1);
    r->base = mirror_of(options, host);
    if (r->base.n == 0) {
        bool hub = span_eq(host, SPAN("docker.io"));
        r->base =
            arena_printf(a, "https://%.*s", SPAN_ARG(hub ? SPAN("registry-1.docker.io") : host));
    }
    return r;
}

void registry_free(struct registry *r)
{
    if (r) {
        curl_easy_cleanup(r->curl);
        strbuf_done(&r->body);
        free(r);
    }
}

struct span registry_version(const struct registry *r)
{
    assert(r);
    return r->version;
}

/* ---- one transfer ---- */

static size_t on_body(char *p, size_t size, size_t n, void *data)
{
    struct registry *r = data;
    long http = 0;
    n *= size;
    (void)curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &http);
    bool to_file = r->fd >= 0 && (http == 200 || http == 206);
    if (!to_file) {
        if (r->body.n + n > DOCUMENT_BYTES_MAX) {
            r->too_large = true;
            return 0;
        }
        strbuf_put(&r->body, span_of(p, n));
        return n;
    }
    if (r->done + n > r->total) {
        r->too_large = true;
        return 0;
    }
    for (size_t put = 0; put < n;) {
        ssize_t w = write(r->fd, p + put, n - put);
        if (w < 0) {
            return 0;
        }
        put += (size_t)w;
    }
    r->done += n;
    if (r->options->on_progress) {
        r->options->on_progress(r->options->data, r->blob, r->done, r->total);
    }
    return n;
}

static size_t on_header(char *p, size_t size, size_t n, void *data)
{
    struct registry *r = data;
    struct span line = span_of(p, size * n);
    static const char name[] = "www-authenticate:";
    if (line.n > sizeof name &&
        span_eq_nocase(span_first(line, sizeof name - 1), span_cstr(name))) {
        r->challenge = arena_dup(r->a, span_trim(span_from(line, sizeof name - 1)));
    }
    return size * n;
}

static void set_auth(struct registry *r, bool with_token)
{
    const struct image_pull_options *o = r->options;
    if (with_token && r->token.n) {
        (void)curl_easy_setopt(r->curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        (void)curl_easy_setopt(r->curl, CURLOPT_XOAUTH2_BEARER, arena_cstr(r->a, r->token));
    } else if (o->username.n && (r->basic || !with_token)) {
        (void)curl_easy_setopt(r->curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        (void)curl_easy_setopt(r->curl, CURLOPT_USERNAME, arena_cstr(r->a, o->username));
        (void)curl_easy_setopt(r->curl, CURLOPT_PASSWORD, arena_cstr(r->a, o->password));
    }
}

/* 0 with r->http set, or a negative code with a sentence. */
static int transfer(struct registry *r, struct span url, const char *accept, uint64_t from,
                    bool with_token, struct span *detail)
{
    char why[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = accept ? curl_slist_append(NULL, accept) : NULL;
    curl_easy_reset(r->curl);
    strbuf_clear(&r->body);
    r->challenge = SPAN_NULL;
    r->too_large = false;
    (void)curl_easy_setopt(r->curl, CURLOPT_URL, arena_cstr(r->a, url));
    (void)curl_easy_setopt(r->curl, CURLOPT_ERRORBUFFER, why);
    (void)curl_easy_setopt(r->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(r->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(r->curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(r->curl, CURLOPT_FOLLOWLOCATION, 1L);
    (void)curl_easy_setopt(r->curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    (void)curl_easy_setopt(r->curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    (void)curl_easy_setopt(r->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(r->curl, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
    (void)curl_easy_setopt(r->curl, CURLOPT_USERAGENT, "berth");
    (void)curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(r->curl, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(r->curl, CURLOPT_WRITEDATA, r);
    (void)curl_easy_setopt(r->curl, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(r->curl, CURLOPT_HEADERDATA, r);
    if (from) {
        (void)curl_easy_setopt(r->curl, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)from);
    }
    set_auth(r, with_token);
    CURLcode code = curl_easy_perform(r->curl);
    curl_slist_free_all(headers);
    (void)curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &r->http);
    if (r->too_large) {
        return fail(r->a, detail, E_LIMIT, "%.*s sends more bytes than it should", SPAN_ARG(url));
    }
    if (code == CURLE_RANGE_ERROR) {
        return -ESPIPE; /* the server cannot resume: start again */
    }
    if (code == CURLE_WRITE_ERROR) {
        return fail(r->a, detail, -ENOSPC, "cannot write the blob: %s", strerror(errno));
    }
    if (code != CURLE_OK) {
        return fail(r->a, detail, -EHOSTUNREACH, "%.*s: %s", SPAN_ARG(url),
                    why[0] ? why : curl_easy_strerror(code));
    }
    return 0;
}

/* ---- authentication ---- */

/* Value of KEY="..." in a challenge. */
static struct span challenge_value(struct span challenge, const char *key)
{
    struct span k = span_cstr(key);
    for (size_t i = 0; i + k.n + 2 < challenge.n; i++) {
        bool starts = i == 0 || challenge.p[i - 1] == ' ' || challenge.p[i - 1] == ',';
        if (starts && span_eq_nocase(span_of(challenge.p + i, k.n), k) &&
            challenge.p[i + k.n] == '=' && challenge.p[i + k.n + 1] == '"') {
            struct span rest = span_from(challenge, i + k.n + 2);
            return span_first(rest, span_find(rest, '"'));
        }
    }
    return SPAN_NULL;
}

static struct span url_escape(struct registry *r, struct span s)
{
    char *e = curl_easy_escape(r->curl, s.p, (int)s.n);
    struct span out = arena_dup(r->a, span_cstr(e ? e : ""));
    curl_free(e);
    return out;
}

static int fetch_token(struct registry *r, struct span *detail)
{
    struct span challenge = r->challenge;
    struct span realm = challenge_value(challenge, "realm");
    struct span service = challenge_value(challenge, "service");
    struct span scope = challenge_value(challenge, "scope");
    if (scope.n == 0) {
        scope = arena_printf(r->a, "repository:%.*s:pull", SPAN_ARG(r->repository));
    }
    bool query = span_find(realm, '?') < realm.n;
    struct span url =
        arena_printf(r->a, "%.*s%cservice=%.*s&scope=%.*s", SPAN_ARG(realm), query ? '&' : '?',
                     SPAN_ARG(url_escape(r, service)), SPAN_ARG(url_escape(r, scope)));
    int fd = r->fd; /* the token is a document, whatever is being fetched */
    r->fd = -1;
    int code = transfer(r, url, NULL, 0, false, detail);
    r->fd = fd;
    yyjson_doc *doc;
    if (code < 0) {
        return code;
    }
    if (r->http != 200 || json_parse(r->a, strbuf_span(&r->body), &doc, NULL) != 0) {
        return fail(r->a, detail, E_UNAUTHORIZED, "the token service %.*s answered %ld",
                    SPAN_ARG(realm), r->http);
    }
    yyjson_val *root = yyjson_doc_get_root(doc);
    r->token = json_get_str(root, "token");
    if (r->token.n == 0) {
        r->token = json_get_str(root, "access_token");
    }
    return r->token.n ? 0 : fail(r->a, detail, E_UNAUTHORIZED, "the token service gave no token");
}

static int authenticate(struct registry *r, struct span *detail)
{
    struct span scheme = r->challenge;
    scheme = span_cut(&scheme, ' ');
    if (span_eq_nocase(scheme, SPAN("Bearer")) && challenge_value(r->challenge, "realm").n) {
        return fetch_token(r, detail);
    }
    if (span_eq_nocase(scheme, SPAN("Basic")) && r->options->username.n && !r->basic) {
        r->basic = true;
        return 0;
    }
    return fail(r->a, detail, E_UNAUTHORIZED,
                "the registry wants authentication (%.*s) and no imagePullSecret fits",
                SPAN_ARG(scheme));
}

/* A transfer, once more with a token when the registry asks for one. */
static int request(struct registry *r, struct span url, const char *accept, uint64_t from,
                   struct span *detail)
{
    int code = transfer(r, url, accept, from, true, detail);
    if (code == 0 && r->http == 401) {
        code = authenticate(r, detail);
        code = code < 0 ? code : transfer(r, url, accept, from, true, detail);
    }
    if (code < 0) {
        return code;
    }
    switch (r->http) {
    case 200:
    case 206:
        return 0;
    case 401:
    case 403:
        return fail(r->a, detail, E_UNAUTHORIZED, "access denied (HTTP %ld from %.*s)", r->http,
                    SPAN_ARG(r->base));
    case 404:
        return fail(r->a, detail, -ENOENT, "not found (HTTP 404 from %.*s)", SPAN_ARG(r->base));
    case 416:
        return -ESPIPE;
    case 429:
        return fail(r->a, detail, -EAGAIN, "too many requests (HTTP 429 from %.*s)",
                    SPAN_ARG(r->base));
    default:
        return fail(r->a, detail, -EIO, "HTTP %ld from %.*s", r->http, SPAN_ARG(r->base));
    }
}

int registry_get_manifest(struct registry *r, struct span version, struct span *ret,
                          struct span *detail)
{
    assert(ret);
    assert(detail);
    static const char accept[] = "Accept: application/vnd.oci.image.index.v1+json, "
                                 "application/vnd.oci.image.manifest.v1+json, "
                                 "application/vnd.docker.distribution.manifest.list.v2+json, "
                                 "application/vnd.docker.distribution.manifest.v2+json";
    struct span url = arena_printf(r->a, "%.*s/v2/%.*s/manifests/%.*s", SPAN_ARG(r->base),
                                   SPAN_ARG(r->repository), SPAN_ARG(version));
    int code = request(r, url, accept, 0, detail);
    if (code == 0) {
        *ret = arena_dup(r->a, strbuf_span(&r->body));
    }
    return code;
}

int registry_get_blob(struct registry *r, struct span digest, int fd, uint64_t size,
                      struct span *detail)
{
    assert(fd >= 0);
    struct span url = arena_printf(r->a, "%.*s/v2/%.*s/blobs/%.*s", SPAN_ARG(r->base),
                                   SPAN_ARG(r->repository), SPAN_ARG(digest));
    enum { TRIES = 5 };
    int code = 0;
    r->fd = fd;
    r->blob = digest;
    r->total = size;
    for (int i = 0; i < TRIES; i++) {
        struct stat st;
        code = fstat(fd, &st) != 0 ? -errno : 0;
        r->done = (uint64_t)st.st_size;
        if (code < 0 || r->done == size) {
            break;
        }
        code = request(r, url, NULL, r->done, detail);
        if (code == -ESPIPE || (code == 0 && r->http == 200 && st.st_size > 0)) {
            /* No ranges here: what was appended starts at the blob's beginning. */
            code = ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0 ? -errno : -EHOSTUNREACH;
        } else if (code == 0 && r->done < size) {
            code = -EHOSTUNREACH; /* ended early: resume */
        }
        if (code != -EHOSTUNREACH) {
            break;
        }
    }
    r->fd = -1;
    if (code == -EHOSTUNREACH && detail->n == 0) {
        return fail(r->a, detail, code, "the blob ends early at %llu of %llu bytes",
                    (unsigned long long)r->done, (unsigned long long)size);
    }
    return code;
}
