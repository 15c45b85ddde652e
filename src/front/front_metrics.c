/* /metrics in the Prometheus text format: requests by kube-apiserver's names (metrics.h), the
 * store, the watchers; what others in the process add comes from apiserver_set_metrics. */
#include "front/front_priv.h"

#include "base/check.h"
#include "schema/custom.h"

static void put_figure(struct strbuf *out, const char *name, const char *help, const char *type,
                       double value)
{
    strbuf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, type, name,
                  value);
}

/* ---- counting ---- */

static const char *verb_of(const struct front *f)
{
    static const char *const names[] = {"GET", "LIST",  "WATCH",  "POST",
                                        "PUT", "PATCH", "DELETE", "DELETECOLLECTION"};
    return names[f->op.verb];
}

static struct metric_request request_of(const struct front *f, int code)
{
    const struct api_op *op = &f->op;
    struct metric_request r = {.verb = "GET", .subresource = "", .scope = "", .code = code};
    if (f->route.type == ROUTE_RESOURCE && op->kind) {
        bool connects = f->is_stream && op->sub && !api_sub_is(op, "log");
        r.verb = connects ? "CONNECT" : verb_of(f);
        r.kind = op->kind;
        r.subresource = op->sub ? op->sub->name : "";
        r.scope = op->name.n || op->verb == API_CREATE ? "resource"
                  : op->ns.n                           ? "namespace"
                                                       : "cluster";
    }
    return r;
}

void front_count(struct front *f, int code)
{
    struct metric_request r = request_of(f, code);
    f->metric = metrics_count(&f->end->metrics, &r,
                              f->is_stream ? -1 : env_mono_ns(f->server->env) - f->start_ns);
}

void front_size(struct front *f, size_t bytes)
{
    assert(f);
    if (f->route.type == ROUTE_RESOURCE && f->op.verb <= API_LIST && f->metric) {
        metrics_size(f->metric, bytes);
    }
}

void front_running(struct front *f, int change)
{
    assert(change == 1 || change == -1);
    struct metric_request r = request_of(f, 200);
    metrics_running(&f->end->metrics, &r, change);
}

/* ---- the page ---- */

static void put_store(struct front *f, struct strbuf *out)
{
    struct store_stats st;
    store_stats(f->server->store, &st);
    put_figure(out, "apiserver_storage_size_bytes", "Bytes of live objects.", "gauge",
               (double)st.live_bytes);
    put_figure(out, "berth_store_objects", "Live objects.", "gauge", (double)st.live_keys);
    put_figure(out, "berth_store_writes_total", "Writes that became durable.", "counter",
               (double)st.writes);
    put_figure(out, "berth_store_commits_total", "Transactions that carried them.", "counter",
               (double)st.commits);
    put_figure(out, "berth_store_commit_seconds_total", "Time spent in commits.", "counter",
               (double)st.commit_us_total / 1e6);
    put_figure(out, "berth_store_commit_seconds_max", "The longest recent commit.", "gauge",
               (double)st.commit_us_max / 1e6);
    strbuf_puts(out, "# HELP etcd_request_duration_seconds Time of the store's commits.\n"
                     "# TYPE etcd_request_duration_seconds histogram\n");
    histogram_put(&st.commit_us, &store_commit_bounds, "etcd_request_duration_seconds",
                  SPAN("operation=\"commit\",type=\"\""), out);
}

static void put_objects(const struct apiserver *s, struct strbuf *out)
{
    strbuf_puts(out, "# HELP apiserver_storage_objects Live objects, by resource.\n"
                     "# TYPE apiserver_storage_objects gauge\n");
    const struct openapi_kinds custom = definitions_served(s->definitions);
    for (size_t i = 0; i < schema_kind_count() + custom.n; i++) {
        const struct schema_kind *k =
            i < schema_kind_count() ? schema_kind_at(i) : custom.at[i - schema_kind_count()];
        bool is_stored = !k->view_of && (k->verbs & SCHEMA_VERB_LIST) &&
                         (!k->custom || custom_definition_of(k)->storage == k);
        if (is_stored) {
            strbuf_printf(out, "apiserver_storage_objects{resource=\"%s\"} %zu\n", k->resource,
                          watch_hub_count(s->hub, span_cstr(k->resource)));
        }
    }
}

static void put_build(const struct apiserver *s, struct strbuf *out)
{
    struct span major, minor;
    front_version_numbers(s, &major, &minor);
    strbuf_printf(out,
                  "# HELP kubernetes_build_info The version that this server speaks.\n"
                  "# TYPE kubernetes_build_info gauge\n"
                  "kubernetes_build_info{git_version=\"%.*s\",major=\"%.*s\",minor=\"%.*s\","
                  "platform=\"%.*s\"} 1\n",
                  SPAN_ARG(s->options.git_version), SPAN_ARG(major), SPAN_ARG(minor),
                  SPAN_ARG(s->options.platform));
}

void front_metrics(struct front *f)
{
    assert(f->x);
    struct apiserver *s = f->server;
    struct front_end *e = f->end;
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    metrics_put(&e->metrics, &out);
    strbuf_printf(&out,
                  "# HELP apiserver_current_inflight_requests Requests that wait for their "
                  "answer.\n# TYPE apiserver_current_inflight_requests gauge\n"
                  "apiserver_current_inflight_requests{request_kind=\"mutating\"} %zu\n"
                  "apiserver_current_inflight_requests{request_kind=\"readOnly\"} %zu\n",
                  e->requests_open, e->lists_open);
    put_build(s, &out);
    put_figure(&out, "apiserver_request_terminations_total",
               "Requests that were answered with 429, because too many were open.", "counter",
               (double)e->refused);
    put_figure(&out, "berth_watches", "Watches that are open.", "gauge", (double)e->watches_open);
    put_figure(&out, "berth_watches_total", "Watches that were opened.", "counter",
               (double)e->watches_total);
    put_store(f, &out);
    put_objects(s, &out);
    if (e->more_metrics) {
        e->more_metrics(e->more_metrics_data, &out);
    }
    front_count(f, 200);
    http_reply(f->x, 200, "text/plain; version=0.0.4; charset=utf-8", strbuf_span(&out));
}
