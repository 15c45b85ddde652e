#include "main/control.h"

#include <curl/curl.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "codec/json.h"

struct answer {
    struct strbuf body;
    void (*on_line)(void *data, struct span line);
    void *data;
};

static size_t on_body(char *p, size_t size, size_t n, void *data)
{
    struct answer *answer = data;
    strbuf_put(&answer->body, span_of(p, size * n));
    while (answer->on_line) {
        struct span all = strbuf_span(&answer->body);
        size_t end = span_find(all, '\n');
        if (end == all.n) {
            break;
        }
        answer->on_line(answer->data, span_first(all, end));
        strbuf_consume(&answer->body, end + 1);
    }
    return size * n;
}

static int perform(struct arena *a, struct span data_dir, const char *path, bool post,
                   struct answer *answer, struct span *detail)
{
    CURL *c = curl_easy_init();
    assert(c);
    const char *socket = arena_printf(a, "%.*s/" CONTROL_SOCKET, SPAN_ARG(data_dir)).p;
    char why[CURL_ERROR_SIZE] = "";
    long http = 0;
    (void)curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, socket);
    (void)curl_easy_setopt(c, CURLOPT_URL, arena_printf(a, "http://berth%s", path).p);
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
    (void)curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, answer);
    if (post) {
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDS, "");
    }
    CURLcode code = curl_easy_perform(c);
    (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &http);
    curl_easy_cleanup(c);
    if (code == CURLE_COULDNT_CONNECT) {
        struct stat st;
        if (stat(socket, &st) != 0 ? errno == EACCES : access(socket, W_OK) != 0) {
            *detail =
                arena_printf(a, "%s may be asked by its owner only: run this as root", socket);
            return -EACCES;
        }
        *detail = arena_printf(a, "no server runs on %.*s", SPAN_ARG(data_dir));
        return -ECONNREFUSED;
    }
    /* A server that stops ends the connection last: what it said has arrived by then. */
    if (code != CURLE_OK && !(post && http == 200)) {
        *detail = arena_printf(a, "%s: %s", socket, why[0] ? why : curl_easy_strerror(code));
        return -EIO;
    }
    if (http != 200) {
        *detail = arena_printf(a, "%s answered %ld: %.*s", path, http,
                               SPAN_ARG(span_first(strbuf_span(&answer->body), 300)));
        return -EIO;
    }
    return 0;
}

int control_get(struct arena *a, struct span data_dir, const char *path, yyjson_doc **ret,
                struct span *detail)
{
    assert(path);
    assert(ret);
    assert(detail);
    struct answer answer = {.body = STRBUF_INIT};
    int code = perform(a, data_dir, path, false, &answer, detail);
    if (code == 0) {
        *ret = json_parse_heap(strbuf_span(&answer.body));
        if (*ret) {
            arena_on_clear(a, (void (*)(void *))yyjson_doc_free, *ret);
        } else {
            *detail = arena_printf(a, "%s answered no JSON", path);
            code = -EIO;
        }
    }
    strbuf_done(&answer.body);
    return code;
}

int control_post_lines(struct arena *a, struct span data_dir, const char *path,
                       void (*on_line)(void *, struct span), void *data, struct span *detail)
{
    assert(path);
    assert(on_line);
    assert(detail);
    struct answer answer = {.body = STRBUF_INIT, .on_line = on_line, .data = data};
    int code = perform(a, data_dir, path, true, &answer, detail);
    strbuf_done(&answer.body);
    return code;
}
