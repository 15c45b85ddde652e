/* What /metrics has besides the API's own figures: the process, the connections, the work queues.
 */
#include "base/check.h"
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

static void put_head(struct strbuf *out, const char *name, const char *help, const char *type)
{
    strbuf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_queue_times(const struct workqueue *first, bool waits, const char *name,
                            const char *help, struct strbuf *out)
{
    put_head(out, name, help, "histogram");
    for (const struct workqueue *q = first; q; q = workqueue_next(q)) {
        struct workqueue_stats st;
        struct strbuf label cleanup_strbuf = STRBUF_INIT;
        workqueue_stats(q, &st);
        strbuf_printf(&label, "name=\"%s\"", workqueue_name(q));
        histogram_put(waits ? &st.waits : &st.works, &workqueue_bounds, name, strbuf_span(&label),
                      out);
    }
}

static void put_queues(const struct workqueue *first, struct strbuf *out)
{
    static const struct {
        const char *name, *help, *type;
    } figures[] = {
        {"workqueue_adds_total", "Keys that were queued.", "counter"},
        {"workqueue_depth", "Keys that wait.", "gauge"},
        {"workqueue_retries_total", "Keys that were queued again after a failure.", "counter"},
        {"workqueue_unfinished_work_seconds",
         "Time spent so far on the keys that are being worked on, together.", "gauge"},
        {"workqueue_longest_running_processor_seconds", "The longest of these times.", "gauge"},
    };
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        put_head(out, figures[i].name, figures[i].help, figures[i].type);
        for (const struct workqueue *q = first; q; q = workqueue_next(q)) {
            struct workqueue_stats st;
            workqueue_stats(q, &st);
            const double values[] = {(double)st.adds, (double)st.depth, (double)st.retries,
                                     (double)st.working_ns / 1e9, (double)st.longest_ns / 1e9};
            strbuf_printf(out, "%s{name=\"%s\"} %.15g\n", figures[i].name, workqueue_name(q),
                          values[i]);
        }
    }
    put_queue_times(first, true, "workqueue_queue_duration_seconds",
                    "How long keys waited until they were worked on.", out);
    put_queue_times(first, false, "workqueue_work_duration_seconds",
                    "How long keys were worked on.", out);
}

void server_metrics(void *data, struct strbuf *out)
{
    assert(data);
    assert(out);
    const struct server *s = data;
    put_process(out);
    put_connections(s->http, out);
    put_queues(s->client ? s->client->queues : NULL, out);
}
