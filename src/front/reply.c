#include "front/reply.h"

#include <string.h>

#include "base/check.h"
#include "codec/json.h"
#include "codec/json_pretty.h"
#include "codec/status.h"
#include "codec/yaml_write.h"
#include "front/negotiate.h"
#include "front/render.h"

/* What Go's ParseBool takes for a yes. */
static bool is_yes(struct span v)
{
    static const char *const words[] = {"true", "1", "t", "T", "TRUE", "True"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (span_eq_cstr(v, words[i])) {
            return true;
        }
    }
    return false;
}

bool reply_wants_pretty(struct http_exchange *x)
{
    assert(x);
    struct span v, agent;
    if (http_query_get(x, "pretty", &v) && v.n) {
        return is_yes(v);
    }
    agent = http_header(x, "user-agent");
    return span_starts(agent, SPAN("curl")) || span_starts(agent, SPAN("Wget")) ||
           span_starts(agent, SPAN("Mozilla/5.0"));
}

static void put_pretty(struct http_exchange *x, int status, const char *content_type,
                       struct span body)
{
    struct json_pretty p = {0};
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    json_pretty_put(&p, body, &out);
    http_reply(x, status, content_type, strbuf_span(&out));
}

static void put_yaml(struct http_exchange *x, int status, struct span json)
{
    yyjson_doc *doc = json_parse_heap(json);
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    assert(doc); /* our own */
    yaml_write(&out, yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    http_reply(x, status, API_YAML, strbuf_span(&out));
}

void reply_json(struct http_exchange *x, int status, const char *content_type, struct span body)
{
    assert(x);
    assert(content_type);
    if (strcmp(content_type, API_YAML) == 0) {
        put_yaml(x, status, body);
        return;
    }
    if (!span_starts(span_cstr(content_type), SPAN("application/json")) || !reply_wants_pretty(x)) {
        http_reply(x, status, content_type, body);
        return;
    }
    put_pretty(x, status, content_type, body);
}

void reply_pretty(struct http_exchange *x, struct span json)
{
    assert(x);
    assert(json.n);
    put_pretty(x, 200, "application/json", json);
}

void reply_err(struct http_exchange *x, const struct err *e)
{
    assert(x);
    assert(e);
    struct arena *a = http_arena(x);
    if (e->retry_after_s > 0) {
        http_add_header(x, "Retry-After", arena_printf(a, "%d", (int)e->retry_after_s));
    }
    struct span json = status_json(a, e);
    struct api_accept accept;
    bool known = api_negotiate(http_header(x, "accept"), FORMS_OBJECT, &accept);
    if (known && accept.protobuf) {
        struct strbuf out cleanup_strbuf = STRBUF_INIT;
        render_status_protobuf(&out, json);
        http_reply(x, err_http_code(e->reason), accept.content_type, strbuf_span(&out));
        return;
    }
    bool yaml = known && strcmp(accept.content_type, API_YAML) == 0;
    reply_json(x, err_http_code(e->reason), yaml ? API_YAML : "application/json", json);
}
