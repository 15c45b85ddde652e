/* What /metrics has besides the API's own figures: the process, the connections, the work queues.
 */
#include "client/workqueue.h"
#include "main/server.h"
#include "os/os_process.h"

static void put(struct strbuf *out, const char *name, const char *help, const char *type,
                double value)
{
    strbuf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, type, name,
                  value);
}

static void put_process(struct strbuf *out)
{
    struct os_process_stats st;
    os_process_stats(&st);
    put(out, "process_cpu_seconds_total", "Processor time, in seconds.", "counter", st.cpu_s);
    put(out, "process_resident_memory_bytes", "Resident memory.", "gauge",
        (double)st.resident_bytes);
    put(out, "process_virtual_memory_bytes", "Virtual memory.", "gauge", (double)st.virtual_bytes);
    put(out, "process_open_fds", "Open file descriptors.", "gauge", (double)st.open_fds);
    put(out, "process_max_fds", "How many may be open.", "gauge", (double)st.max_fds);
    put(out, "process_start_time_seconds", "Start, in seconds since the epoch.", "gauge",
        st.start_s);
}

static void put_connections(const struct http_server *http, struct strbuf *out)
{
    struct http_server_stats st;
    http_server_stats(http, &st);
    put(out, "berth_http_connections", "Connections that are open.", "gauge",
        (double)st.connections_open);
    put(out, "berth_http_connections_total", "Connections that were accepted.", "counter",
        (double)st.connections);
    put(out, "berth_http_rejected_total", "Connections and requests refused below the API.",
        "counter", (double)st.rejected);
}

static void put_queues(const struct workqueue *first, struct strbuf *out)
{
    static const struct {
        const char *name, *help, *type;
    } figures[] = {
        {"workqueue_adds_total", "Keys that were queued.", "counter"},
        {"workqueue_depth", "Keys that wait.", "gauge"},
        {"workqueue_retries_total", "Keys that were queued again after a failure.", "counter"},
        {"workqueue_unfinished_work", "Keys that are being worked on.", "gauge"},
    };
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        strbuf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", figures[i].name, figures[i].help,
                      figures[i].name, figures[i].type);
        for (const struct workqueue *q = first; q; q = workqueue_next(q)) {
            struct workqueue_stats st;
            workqueue_stats(q, &st);
            const uint64_t values[] = {st.adds, st.depth, st.retries, st.working};
            strbuf_printf(out, "%s{name=\"%s\"} %llu\n", figures[i].name, workqueue_name(q),
                          (unsigned long long)values[i]);
        }
    }
}

void server_metrics(void *data, struct strbuf *out)
{
    const struct server *s = data;
    put_process(out);
    put_connections(s->http, out);
    put_queues(s->client ? s->client->queues : NULL, out);
}
