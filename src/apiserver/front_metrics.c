/* /metrics: a few true counters in the Prometheus text format. */
#include "apiserver/front.h"

static void put_counter(struct strbuf *out, const char *name, const char *help, const char *type,
                        uint64_t value)
{
    strbuf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type, name,
                  (unsigned long long)value);
}

void front_metrics(struct front *f)
{
    static const char *const verbs[] = {"get",    "list",  "watch",  "create",
                                        "update", "patch", "delete", "deletecollection"};
    const struct api_counters *c = &f->server->counters;
    struct store_stats st;
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    store_stats(f->server->store, &st);
    strbuf_puts(&out, "# HELP berth_api_operations_total API operations, by verb.\n"
                      "# TYPE berth_api_operations_total counter\n");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        strbuf_printf(&out, "berth_api_operations_total{verb=\"%s\"} %llu\n", verbs[i],
                      (unsigned long long)c->requests[i]);
    }
    put_counter(&out, "berth_api_errors_total", "API operations that were refused or failed.",
                "counter", c->errors);
    put_counter(&out, "berth_api_watches", "Watches that are open.", "gauge", c->watches_open);
    put_counter(&out, "berth_api_watches_total", "Watches that were opened.", "counter",
                c->watches_total);
    put_counter(&out, "berth_store_objects", "Live objects.", "gauge", st.live_keys);
    put_counter(&out, "berth_store_bytes", "Bytes of live objects.", "gauge", st.live_bytes);
    put_counter(&out, "berth_store_writes_total", "Writes that became durable.", "counter",
                st.writes);
    put_counter(&out, "berth_store_commits_total", "Transactions that carried them.", "counter",
                st.commits);
    put_counter(&out, "berth_store_commit_microseconds_total", "Time spent in commits.", "counter",
                st.commit_us_total);
    put_counter(&out, "berth_store_commit_microseconds_max", "The longest recent commit.", "gauge",
                st.commit_us_max);
    http_reply(f->x, 200, "text/plain; version=0.0.4; charset=utf-8", strbuf_span(&out));
}
